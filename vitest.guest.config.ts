import { defineConfig } from 'vitest/config';

/** The tests of a kernel with OpenZFS, or of their own: in the guest, one file after the other, in one process that starts once. */
export default defineConfig({
  test: {
    include: [
      'packages/store-zfs/test/openzfs/**/*.test.ts',
      'packages/sandbox-macos/test/guest/**/*.test.ts',
      'packages/sandbox-runc/test/guest/**/*.test.ts',
    ],
    // An emulated machine is about twenty times slower.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    maxWorkers: 1,
    isolate: false,
  },
  oxc: { target: 'es2023' },
});
