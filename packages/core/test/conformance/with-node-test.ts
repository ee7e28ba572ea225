/** The suite under the test runner of Node: `node --test with-node-test.ts`. Nothing of Vitest is loaded. */
import { describe, it, test } from 'node:test';
import { storeSuite } from '@snapstep/core/conformance';
import { openMemoryPlace } from './memory-place.ts';

// What takes long is left to the runs over real stores.
storeSuite({ describe, it }, { open: openMemoryPlace, except: ['load'] });
storeSuite({ test }, { open: openMemoryPlace, except: ['load', 'special files', 'content', 'names'] });
