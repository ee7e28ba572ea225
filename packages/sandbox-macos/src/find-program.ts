import { constants } from 'node:fs';
import { access, realpath } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Where a program of the PATH is, with links followed; undefined if it is not there. */
export async function findProgram(name: string): Promise<{ path: string; real: string } | undefined> {
  for (const directory of (process.env.PATH ?? '').split(delimiter).filter((each) => each !== '')) {
    const path = join(directory, name);
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return { path, real: await realpath(path) };
  }
  return undefined;
}
