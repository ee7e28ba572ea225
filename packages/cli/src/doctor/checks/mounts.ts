import { parseMountPoints } from '@snapstep/core';
import { type Check, fine, notApplicable, warning } from '../check.ts';
import { ownerOf } from '../owner.ts';
import type { Scene } from '../scene.ts';

/** From about here on a Mac becomes slow; workers were seen to reach 33,787 (the same step: 3 minutes, then 35). */
const MANY = 1000;

/** Mounts below what is Snapstep's, though nobody has it open: what was killed left them. */
export const staleMounts: Check = {
  name: 'stale-mounts',
  async look(scene) {
    if (scene.store.kind === 'zfs') return notApplicable('see zfs-mounts');
    const { path } = scene.store;
    const below = (await mountPoints(scene)).filter((point) => point.startsWith(`${path}/`));
    if (below.length === 0) return fine(`nothing is mounted below ${path}`);
    const owner = await ownerOf(path, scene);
    if (owner !== undefined) return fine(`${below.length} mounted below ${path}, by process ${owner}`);
    return warning(
      `${below.length} mounted below ${path}, though nobody uses the store, such as ${below[0]}`,
      `snapstep ls --store ${scene.store.kind}:${path}`,
    );
  },
};

export const mountCount: Check = {
  name: 'mount-count',
  async look(scene) {
    const { length } = await mountPoints(scene);
    if (length < MANY) return fine(`${length} mounts on this machine`);
    return warning(
      `${length} mounts on this machine: everything that mounts becomes slow`,
      'snapstep prune --max-steps 500',
    );
  },
};

/** On a Mac, `mount` prints lines such as `tank/a on /Volumes/tank/a (zfs, local, noatime)`. */
function parseMountCommand(text: string): string[] {
  return text.split('\n').flatMap((line) => / on (.*) \([^()]*\)$/.exec(line)?.[1] ?? []);
}

async function mountPoints({ platform, read, ask }: Scene): Promise<string[]> {
  if (platform === 'linux') return parseMountPoints((await read('/proc/self/mountinfo')) ?? '');
  return parseMountCommand((await ask('mount', []))?.stdout ?? '');
}
