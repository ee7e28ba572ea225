import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';

/** Puts a `btrfs` before the real one that notes each call; disposing it takes it away. */
export function countedBtrfs(): Promise<{ calls(): Promise<string[]> } & AsyncDisposable> {
  return countedProgram('btrfs', 'echo "$*"');
}

/**
 * Puts a program before the real one; disposing it takes it away.
 *
 * @param note - A line of shell that runs first, with the arguments; what it prints is a line of the calls.
 */
export async function countedProgram(
  name: string,
  note: string,
): Promise<{ calls(): Promise<string[]> } & AsyncDisposable> {
  const dir = await tempDir();
  const log = join(dir.path, 'calls');
  const path = process.env.PATH ?? '';
  const script = `#!/bin/sh\n{ ${note}; } >>'${log}'\nPATH='${path}' exec ${name} "$@"\n`;
  await writeFile(log, '');
  await writeFile(join(dir.path, name), script);
  await chmod(join(dir.path, name), 0o755);
  process.env.PATH = `${dir.path}:${path}`;
  return {
    calls: async () => (await readFile(log, 'utf8')).split('\n').slice(0, -1),
    async [Symbol.asyncDispose]() {
      process.env.PATH = path;
      await dir[Symbol.asyncDispose]();
    },
  };
}
