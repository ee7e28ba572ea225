import { sandboxSuite } from '@snapstep/core/conformance';
import { describe, it } from 'vitest';
import { withEachRuntime } from './steps.ts';
import { openPlace, world } from './suite-place.ts';

const loopback = `(while :; do echo hello | nc -l -p 80 >/dev/null; done) &
  until heard=$(nc 127.0.0.1 80 </dev/null 2>/dev/null) && [ -n "$heard" ]; do :; done; echo "$heard"`;

withEachRuntime('the promises of a sandbox', (runtime) =>
  sandboxSuite(
    { describe, it },
    {
      ...{ ...world, loopback },
      open: () => openPlace(runtime),
    },
  ),
);
