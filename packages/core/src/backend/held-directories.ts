import { type BigIntStats, statSync } from 'node:fs';
import { join } from 'node:path';
import type { HostPath } from './names.ts';

type FileIdentity = Pick<BigIntStats, 'dev' | 'ino'>;

const held = new Set<{ readonly directory: HostPath; readonly identities: ReadonlySet<string> }>();

/**
 * Says that this process keeps locked files in a directory, until it is disposed. {@link heldDirectory} then knows the
 * directory, and the named files of it wherever they have another name.
 *
 * A process loses all its POSIX locks on a file when it closes the file anywhere, even if it only read it
 * (fcntl_locking(2)). So whoever walks a tree that somebody else chose keeps out of these: SQLite would not notice
 * that its lock is gone.
 *
 * @throws What the system says of a directory or a file that is not there.
 */
export function holdDirectory(directory: HostPath, files: readonly string[] = []): Disposable {
  const paths = [directory, ...files.map((name) => join(directory, name))];
  const entry = {
    directory,
    identities: new Set(paths.map((path) => identity(statSync(path, { bigint: true })))),
  };
  held.add(entry);
  return { [Symbol.dispose]: () => void held.delete(entry) };
}

/** The directory that an entry of a tree is, or whose locked file it is; undefined if nobody holds it. */
export function heldDirectory(stat: FileIdentity): HostPath | undefined {
  const wanted = identity(stat);
  for (const { directory, identities } of held) if (identities.has(wanted)) return directory;
  return undefined;
}

function identity({ dev, ino }: FileIdentity): string {
  return `${dev}:${ino}`;
}
