import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';

/** Puts a `btrfs` before the real one that notes each call; disposing it takes it away. */
export async function countedBtrfs(): Promise<{ calls(): Promise<string[]> } & AsyncDisposable> {
  const dir = await tempDir();
  const log = join(dir.path, 'calls');
  const path = process.env.PATH ?? '';
  const script = `#!/bin/sh\necho "$*" >>'${log}'\nPATH='${path}' exec btrfs "$@"\n`;
  await writeFile(log, '');
  await writeFile(join(dir.path, 'btrfs'), script);
  await chmod(join(dir.path, 'btrfs'), 0o755);
  process.env.PATH = `${dir.path}:${path}`;
  return {
    calls: async () => (await readFile(log, 'utf8')).split('\n').slice(0, -1),
    async [Symbol.asyncDispose]() {
      process.env.PATH = path;
      await dir[Symbol.asyncDispose]();
    },
  };
}
