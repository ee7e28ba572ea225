import { err, failed, ok, type Result, runCommand, type StoreError } from '@snapstep/core/backend';
import { commandFailure } from './store-failure.ts';

const OLDEST = [3, 1] as const;
/** Archive mode, hard links, ACLs, extended attributes, holes; nothing is looked up in the host's passwd. */
const EVERYTHING = ['-aHAXS', '--numeric-ids'];

/** Copies the content of one directory into another, which must be empty or missing. */
export async function rsyncTree(
  from: string,
  to: string,
  options: { readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  return rsync([...EVERYTHING, '--', `${from}/`, `${to}/`], options);
}

/**
 * As {@link rsyncTree}, but a file that is the same in `like` becomes another name of that one.
 *
 * Contents are compared by checksum, because a size and a time say nothing about what was written within
 * one second; and times to the nanosecond, which rsync does only for a negative window.
 */
export async function rsyncLinked(
  from: string,
  to: string,
  options: { readonly like: string },
): Promise<Result<void, StoreError>> {
  const compare = ['--checksum', '--modify-window=-1', `--link-dest=${options.like}`];
  return rsync([...EVERYTHING, ...compare, '--', `${from}/`, `${to}/`], {});
}

/** Refuses openrsync and the rsync 2.6.9 of old macOS, which lose attributes without a word. */
export async function checkRsync(): Promise<Result<void, StoreError>> {
  const text = await runCommand('rsync', ['--version']);
  if (text.isErr()) return err(commandFailure(text.error));
  if (isRecentRsync(text.value)) return ok();
  return err(
    failed(
      `rsync ${OLDEST.join('.')} or later is needed, but "rsync --version" says: ${text.value.split('\n')[0]}`,
    ),
  );
}

/** @param version - The output of `rsync --version`. */
export function isRecentRsync(version: string): boolean {
  const [, major, minor] = /^rsync\s+version v?(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined || minor === undefined) return false;
  return Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
}

async function rsync(
  args: readonly string[],
  options: { readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  const result = await runCommand('rsync', args, options);
  return result.isOk() ? ok() : err(commandFailure(result.error));
}
