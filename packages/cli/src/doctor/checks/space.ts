import { statfs } from 'node:fs/promises';
import { formatSize } from '../../progress/format.ts';
import { type Check, type Finding, fine, notApplicable, problem, warning } from '../check.ts';
import { existing } from '../existing.ts';
import type { Scene } from '../scene.ts';

/** Shares of the whole that are used. */
const HIGH = 0.9;
const FULL = 0.98;

export const space: Check = {
  name: 'free-bytes',
  async look(scene) {
    const at = placeOf(scene);
    const { blocks, bfree, bavail, bsize } = await statfs(at);
    const used = blocks - bfree;
    const free = `${formatSize(bavail * bsize)} free of ${formatSize(blocks * bsize)} at ${at}`;
    return judge(used / (used + bavail), free);
  },
};

/** What else runs out, and is no byte (a store on a tmpfs did). */
export const inodes: Check = {
  name: 'free-inodes',
  async look(scene) {
    const at = placeOf(scene);
    const { files, ffree } = await statfs(at);
    if (files === 0) return notApplicable('this file system makes inodes as it needs them');
    return judge((files - ffree) / files, `${ffree} free of ${files} at ${at}`);
  },
};

function placeOf({ store, state }: Scene): string {
  return existing(store.kind === 'zfs' ? state.builder : store.path);
}

function judge(share: number, found: string): Finding {
  const mend = 'snapstep prune --keep-free 20%';
  if (share >= FULL) return problem(found, mend);
  return share >= HIGH ? warning(found, mend) : fine(found);
}
