import { sandboxSuite } from '@snapstep/core/conformance';
import { needs } from '@snapstep/test-support';
import { it } from 'vitest';
import { world } from './healthy-place.ts';
import { openHealthyChroot, processMutants } from './processes.ts';

// The containers that the other mutants are made of pass the whole suite in packages/sandbox-runc.
needs('root', 'busybox')('the chroot that mutants are made of passes the tests that kill them', () =>
  sandboxSuite({ test: only }, { ...world, patience: 30_000, open: openHealthyChroot }),
);

/** Registers the tests that mutants name first, and no others. */
function only(title: string, run: () => Promise<void>): void {
  const parts = processMutants.flatMap(({ first = [] }) => first);
  if (parts.some((part) => title.includes(part))) it(title, run);
}
