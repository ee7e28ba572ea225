/** The suite under the test runner of Node: `node --test with-node-test.ts`. Nothing of Vitest is loaded. */
import { describe, it, test } from 'node:test';
import { storeSuite } from '@snapstep/core/conformance';
import { memorySuite } from './memory-place.ts';

// What takes long is left to the runs over real stores.
const except = [...memorySuite.except, 'load', 'aborts', 'names'];
storeSuite({ describe, it }, { ...memorySuite, except, scale: 0.1 });
const once = ['special files', 'content', 'caches', 'features', 'sequences', 'past bugs'];
storeSuite({ test }, { ...memorySuite, except: [...except, ...once], scale: 0.1 });
