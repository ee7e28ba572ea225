import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isStepKey } from '@snapstep/core';
import type { Scene } from './scene.ts';

/** The keys of the snapshots that a store holds, found without opening it; undefined if there is no store yet. */
export async function savedSnapshots(scene: Scene): Promise<ReadonlySet<string> | undefined> {
  const names = await namesIn(scene);
  return names && new Set(names.filter(isStepKey));
}

/** Where each kind of store has a thing named after the key of a saved snapshot, and only then. */
async function namesIn({ store, ask }: Scene): Promise<string[] | undefined> {
  switch (store.kind) {
    case 'rsync':
    case 'btrfs':
      return readdir(join(store.path, 'result')).catch(() => undefined);
    case 'overlayfs':
      return readdir(join(store.path, 'snapshots')).catch(() => undefined);
    case 'zfs': {
      const { dataset } = store;
      const answer = await ask('zfs', [
        'list',
        '-Hp',
        '-o',
        'name',
        '-t',
        'snapshot',
        '-r',
        '-d',
        '2',
        `${dataset}/result`,
      ]);
      if (answer?.exitCode !== 0) return undefined;
      return answer.stdout.split('\n').flatMap((name) => /\/([^/]*)@snap$/.exec(name)?.[1] ?? []);
    }
  }
}
