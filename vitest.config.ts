import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'test/**/*.test.ts', 'examples/*/test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores are the machine that we plan for, and real disks and containers are shared.
    maxWorkers: 2,
  },
  oxc: { target: 'es2023' },
});
