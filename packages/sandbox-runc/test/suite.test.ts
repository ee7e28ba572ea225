import { sandboxSuite } from '@snapstep/core/conformance';
import { describe, it } from 'vitest';
import { withEachRuntime } from './steps.ts';
import { openPlace, world } from './suite-place.ts';

const loopback =
  '(echo hello | nc -l -p 80 >/dev/null) & until nc 127.0.0.1 80 </dev/null 2>/dev/null; do :; done';

withEachRuntime('the promises of a sandbox', (runtime) =>
  sandboxSuite(
    { describe, it },
    {
      ...{ ...world, loopback },
      open: () => openPlace(runtime),
      // With runc the image's shell joins the two streams, and exports what shells export.
      addsToEnvironment: runtime === 'runc' ? ['PWD', 'SHLVL'] : [],
    },
  ),
);
