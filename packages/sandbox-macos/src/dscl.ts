import { type Cancelled, type CommandFailed, err, ok, type Result, runCommand } from '@snapstep/core/backend';

export type DsclError = CommandFailed | Cancelled;

/** The exit of dscl for a record that does not exist: eDSRecordNotFound, -14136, as a byte. */
const NO_RECORD = 56;

/** The exit for what one may not do: eDSPermissionError, -14120, as a byte. */
const NOT_PERMITTED = 40;

/** Whether macOS forbids it although we are root, as it does to whoever lacks full disk access. */
export function isForbidden(error: DsclError): boolean {
  return error.type === 'failed' && error.exitCode === NOT_PERMITTED;
}

/** The attributes of a user that were asked for and that there are; undefined if there is no such user. */
export async function readUser(
  name: string,
  attributes: readonly string[],
): Promise<Result<ReadonlyMap<string, string> | undefined, DsclError>> {
  const read = await dscl(['-read', `/Users/${name}`, ...attributes]);
  if (read.isOk()) return ok(parseAttributes(read.value));
  if (read.error.type === 'failed' && read.error.exitCode === NO_RECORD) return ok(undefined);
  return err(read.error);
}

/** The names of all users of that number. */
export async function usersWithUid(uid: number): Promise<Result<readonly string[], DsclError>> {
  const found = await dscl(['-search', '/Users', 'UniqueID', `${uid}`]);
  // NAME<tabs>UniqueID = (, then the value, then a line with a parenthesis.
  return found.map((text) => [...text.matchAll(/^(\S+)\s+UniqueID = \(/gm)].map(([, name]) => name ?? ''));
}

/** Makes a user, or gives one an attribute. */
export async function createUser(
  name: string,
  attribute: readonly [] | readonly [key: string, value: string],
): Promise<Result<void, DsclError>> {
  const made = await dscl(['-create', `/Users/${name}`, ...attribute]);
  return made.isErr() ? err(made.error) : ok();
}

function dscl(args: readonly string[]): Promise<Result<string, DsclError>> {
  return runCommand('dscl', ['.', ...args]);
}

/** `Key: value` in one line; a value with blanks stands in the next one, after a blank. */
function parseAttributes(text: string): ReadonlyMap<string, string> {
  const lines = text.matchAll(/^(?:dsAttrTypeNative:)?(\w+):(?: (.*)|\n (.*))$/gm);
  return new Map([...lines].map(([, key = '', inline, next]) => [key, inline ?? next ?? '']));
}
