import type { GuestJob } from './count-suites.ts';
import { GUEST_ONLY } from './suite.ts';

const STORE = 'packages/store-zfs/test/openzfs';
const SUITE = `${STORE}/suite.test.ts`;

/** What every store must do takes as long as all the rest. */
const suite: GuestJob = { title: 'the suite of stores over ZFS', args: [SUITE] };

export const STORE_JOBS: readonly GuestJob[] = [
  suite,
  { title: 'the ZFS store', args: [STORE, '--exclude', SUITE] },
];

export const MACOS_JOBS: readonly GuestJob[] = [
  { title: 'builds as on a Mac', args: ['packages/sandbox-macos/test/guest'] },
];

export const CORE_DUMP_JOBS: readonly GuestJob[] = [{ title: 'core dumps of steps', args: [GUEST_ONLY] }];

/** Everything that needs a kernel with OpenZFS, or one of its own, for two machines that take about as long. */
export const ALL_JOBS: readonly GuestJob[] = [
  suite,
  {
    title: 'the ZFS store, builds as on a Mac, and core dumps of steps',
    args: [STORE, 'packages/sandbox-macos/test/guest', GUEST_ONLY, '--exclude', SUITE],
  },
];
