import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { orThrow, runCommand, toHostPath } from '@snapstep/core/backend';
import { type CrashPlace, crashSuite, storePromises } from '@snapstep/core/conformance';
import { openDirectoryStore } from '../../../examples/store-directory/src/directory-store.ts';
import { dueTo } from '../by-promise.ts';
import type { Mutant } from '../mutant.ts';
import type { Crashing } from './crash-stores.ts';
import { unfinished } from './store-mutant.ts';

/** Stores that only a kill in the right moment tells from healthy ones. */
export const crashMutants: readonly Mutant[] = [
  crashMutant('saves-file-by-file', 'committed'),
  crashMutant('publishes-file-by-file', 'crashedCache'),
  crashMutant('saves-volume-by-volume', 'allVolumes'),
  crashMutant('lock-given-up-at-once', 'oneOwner'),
];

function crashMutant(name: Crashing, breaks: keyof typeof storePromises): Mutant {
  return {
    name,
    promise: storePromises[breaks],
    killedBy: dueTo(storePromises[breaks]),
    secondsPerTest: 600,
    suite: (functions) => crashSuite(functions, { place: () => crashPlace(name), rounds: 40 }),
  };
}

async function crashPlace(name: Crashing): Promise<CrashPlace> {
  const directory = await mkdtemp(join(tmpdir(), 'snapstep-crash-'));
  const path = toHostPath(join(directory, 'store'));
  return {
    command: [process.execPath, join(import.meta.dirname, 'crash-process.ts'), name, path],
    open: async () => orThrow(await openDirectoryStore(path)),
    leftovers: () => unfinished(join(path, 'work')),
    async [Symbol.asyncDispose]() {
      orThrow(await runCommand('rm', ['-rf', directory]));
    },
  };
}
