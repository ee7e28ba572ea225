import { commandFailure, err, ok, type Result, runCommand, type StoreError } from '@snapstep/core/backend';

/** Everything below a directory, except directories, that has more than one name anywhere. */
export async function hardLinks(
  directory: string,
): Promise<Result<readonly { readonly inode: string; readonly path: string }[], StoreError>> {
  const tests = ['!', '-type', 'd', '-links', '+1', '-printf', '%i %P\\0'];
  const found = await runCommand('find', [directory, ...tests]);
  if (found.isErr()) return err(commandFailure(found.error));
  return ok(found.value.split('\0').slice(0, -1).map(parseEntry));
}

function parseEntry(entry: string): { readonly inode: string; readonly path: string } {
  const space = entry.indexOf(' ');
  return { inode: entry.slice(0, space), path: entry.slice(space + 1) };
}
