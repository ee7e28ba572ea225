/** Below `packages/core/src`: what is mutated. */
export const TARGETS: readonly string[] = [
  'plan/key.ts',
  'plan/stages.ts',
  'plan/manifest.ts',
  'plan/pacer.ts',
  'plan/source-walk.ts',
  'plan/tree-path.ts',
  'plan/file-names.ts',
  'backend/hash-cache.ts',
  'backend/hash-table.ts',
  'cache/cache-broker.ts',
  'cache/cache-marks.ts',
  'cache/durability.ts',
  'cache/index-db.ts',
  'cache/keyed-mutex.ts',
  'cache/leases.ts',
  'cache/prune.ts',
  'cache/reconcile.ts',
  'cache/slots.ts',
  'cache/step-table.ts',
  'cache/untold.ts',
  'log/byte-patterns.ts',
  'log/live-log.ts',
  'log/log-tail.ts',
  'log/masked-log.ts',
  'log/secret-patterns.ts',
  'log/step-log.ts',
  'log/step-logs.ts',
  'build/build-run.ts',
  'build/event-queue.ts',
  'build/failed-logs.ts',
  'build/make-room.ts',
  'build/produce.ts',
  'build/restore-index.ts',
  'build/run-step.ts',
  'build/step-keys.ts',
  'build/step-reporter.ts',
  'build/sweep-leftovers.ts',
];

/** The tests that may kill them: over the memory store and the scripted sandbox. */
export const TESTS = 'packages/core/test/{backend,build,cache,log,plan}/**/*.test.ts';

/** Tests that need more of the processor than this judge nothing: what only they see, a quicker one shall see too. */
export const SLOWEST_CPU_MS = 700;

/**
 * So much of the processor is spent on a mutant that nothing kills, enough for all tests that come to it, and on one of
 * which that is known.
 */
export const CPU_MS = { each: 60_000, survivor: 500 };
