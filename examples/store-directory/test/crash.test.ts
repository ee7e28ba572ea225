import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toHostPath } from '@snapstep/core/backend';
import { type CrashPlace, crashSuite } from '@snapstep/core/conformance';
import { expectOk, tempDir } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { openDirectoryStore } from '../src/directory-store.ts';

const script = fileURLToPath(new URL('./churn-process.ts', import.meta.url));

describe('a killed owner of the directory store', () =>
  crashSuite({ describe, it }, { place: openCrashPlace, rounds: 4 }));

async function openCrashPlace(): Promise<CrashPlace> {
  const directory = await tempDir();
  const path = toHostPath(join(directory.path, 'store'));
  return {
    command: [process.execPath, script, path],
    open: async () => expectOk(await openDirectoryStore(path)),
    // Each opening has a directory of its own in `work`, and nothing lies in it at first.
    async leftovers() {
      const sessions = await readdir(join(path, 'work'));
      const left = await Promise.all(sessions.map((session) => readdir(join(path, 'work', session))));
      return [...sessions.slice(1), ...left.flat()];
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
