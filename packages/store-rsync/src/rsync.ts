import {
  commandFailure,
  err,
  failed,
  ok,
  type Result,
  runCommand,
  type StoreError,
} from '@snapstep/core/backend';

/** The first that compares times to the nanosecond: https://download.samba.org/pub/rsync/NEWS#3.1.3 */
const OLDEST = '3.1.3';
/**
 * Archive mode, hard links, ACLs, extended attributes, holes; nothing is looked up in the host's passwd.
 * Only with a negative window are times compared to the nanosecond: otherwise a directory made within the
 * second of its original keeps the time of the copying.
 */
const EVERYTHING = ['-aHAXS', '--numeric-ids', '--modify-window=-1'];

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
 * Contents are compared by checksum, because a program can write other bytes and set back the time.
 */
export async function rsyncLinked(
  from: string,
  to: string,
  options: { readonly like: string },
): Promise<Result<void, StoreError>> {
  const compare = ['--checksum', `--link-dest=${options.like}`];
  return rsync([...EVERYTHING, ...compare, '--', `${from}/`, `${to}/`], {});
}

/** Refuses openrsync and the rsync 2.6.9 of old macOS, which lose attributes without a word. */
export async function checkRsync(): Promise<Result<void, StoreError>> {
  const text = await runCommand('rsync', ['--version']);
  if (text.isErr()) return err(commandFailure(text.error));
  if (isRecentRsync(text.value)) return ok();
  const [found] = text.value.split('\n');
  return err(failed(`rsync ${OLDEST} or later is needed, but "rsync --version" says: ${found}`));
}

/** @param version - The output of `rsync --version`. */
export function isRecentRsync(version: string): boolean {
  const number = /^rsync\s+version v?(\d+\.\d+\.\d+)/.exec(version)?.[1];
  return number !== undefined && number.localeCompare(OLDEST, 'en', { numeric: true }) >= 0;
}

async function rsync(
  args: readonly string[],
  options: { readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  const result = await runCommand('rsync', args, options);
  return result.isOk() ? ok() : err(commandFailure(result.error));
}
