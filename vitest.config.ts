import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/longest-first.ts';

/**
 * Tests that start sources of ours as programs. Node runs those from 24 on, for their `await using`; what an older
 * one gets are the built packages, which test/package starts on each.
 */
const STARTS_SOURCES = [
  'packages/cli/test/**',
  'packages/*/test/crash.test.ts',
  'packages/sandbox-macos/test/{base-image,steps,suite}.test.ts',
  'packages/core/test/faults/**',
  'packages/sandbox-runc/test/{output-pipe,suite}.test.ts',
  'packages/store-zfs/test/{fake,zfs-fuse}/**',
  'packages/core/test/conformance/runners.test.ts',
  'packages/fetcher-oci/test/state.test.ts',
  'test/damage/**',
  'test/docs/**',
  'test/mutants/**',
  'test/power-cut/power-cut.test.ts',
  'test/stories/crash.test.ts',
  'examples/**',
];

/** On a kernel with OpenZFS: vitest.guest.config.ts runs them, for `npm run test:openzfs` and `test:macos`. */
const IN_THE_GUEST = [
  'packages/store-zfs/test/openzfs/**',
  'packages/sandbox-macos/test/guest/**',
  'packages/sandbox-runc/test/guest/**',
];
const canStartSources = Number.parseInt(process.versions.node, 10) >= 24;

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts', 'examples/*/test/**/*.test.ts'],
    exclude: ['**/node_modules/**', ...IN_THE_GUEST, ...(canStartSources ? [] : STARTS_SOURCES)],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores are the machine that we plan for, and real disks and containers are shared.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
  oxc: { target: 'es2023' },
});
