import { release } from 'node:os';
import { type Check, fine, notApplicable, problem } from '../check.ts';
import { isAtLeast } from '../version.ts';

/** Older kernels hang for minutes when many Btrfs snapshots are made (https://github.com/ocurrent/obuilder/issues/47). */
export const kernel: Check = {
  name: 'kernel',
  look({ platform, store }) {
    if (platform !== 'linux') return notApplicable(`this is ${platform}`);
    const running = release();
    if (store.kind !== 'btrfs' || isAtLeast(running, '5.8')) return fine(`Linux ${running}`);
    return problem(`Linux ${running}: Btrfs hangs with many snapshots before 5.8`, 'boot Linux 5.8 or later');
  },
};
