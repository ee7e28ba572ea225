import type { GuestJob } from './count-suites.ts';

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

/** Everything that needs a kernel with OpenZFS, for two machines that take about as long. */
export const ALL_JOBS: readonly GuestJob[] = [
  suite,
  {
    title: 'the ZFS store, and builds as on a Mac',
    args: [STORE, 'packages/sandbox-macos/test/guest', '--exclude', SUITE],
  },
];
