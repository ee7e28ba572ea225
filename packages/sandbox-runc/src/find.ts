import { type Cancelled, type CommandFailed, err, ok, type Result, runCommand } from '@snapstep/core/backend';

/**
 * Where the files with these inode numbers are below a directory, on its file system. Names that are no UTF-8 come
 * out damaged.
 */
export async function findInodes(
  root: string,
  inodes: readonly bigint[],
): Promise<Result<readonly { readonly ino: bigint; readonly path: string }[], CommandFailed | Cancelled>> {
  const wanted = inodes.flatMap((ino) => ['-o', '-inum', `${ino}`]).slice(1);
  const found = await runCommand('find', [root, '-xdev', '(', ...wanted, ')', '-printf', '%i %p\\0']);
  if (found.isErr()) return err(found.error);
  const entries = found.value.split('\0').filter((entry) => entry !== '');
  return ok(
    entries.map((entry) => {
      const space = entry.indexOf(' ');
      return { ino: BigInt(entry.slice(0, space)), path: entry.slice(space + 1) };
    }),
  );
}
