import type { Need } from '@snapstep/test-support/machine';
import type { Phase } from './life.ts';
import { WORLDS, type World } from './world.ts';

/** Which worlds live through what. */
export interface Plan {
  readonly worlds: readonly World[];
  readonly phases: readonly Phase[];
}

export const NEEDS: readonly Need[] = ['root', 'busybox', 'btrfs', 'xfs', 'rsync', 'crun', 'runc', 'umoci'];

/** Every moment, in every world. */
export const LONG: Plan = {
  worlds: WORLDS,
  phases: [
    { state: 'opened', cuts: [0] },
    { state: 'building', cuts: [2, 7, 14, 24] },
    { state: 'idle', cuts: [0, 1, 5, 15, 30] },
    { state: 'killed', cuts: [1] },
    { state: 'building', cuts: [5] },
    { state: 'closed', cuts: [0, 1, 5, 15, 30, 60] },
  ],
};

/** A mistake that must be found, or nothing that is found to be right means anything. */
export const MISTAKEN: Plan = {
  worlds: [{ store: 'rsync', disk: 'xfs', stateDisk: 'ext4', runtime: 'crun', syncs: false }],
  phases: [
    { state: 'building', cuts: [7] },
    { state: 'closed', cuts: [0] },
  ],
};

/** The worlds and the moments in which most was wrong before anything was synced. */
export const SHORT: Plan = {
  worlds: WORLDS.slice(0, 2),
  phases: [
    { state: 'opened', cuts: [0] },
    { state: 'building', cuts: [7] },
    { state: 'closed', cuts: [0] },
  ],
};
