import { storeSuite } from '@snapstep/core/conformance';
import { describe, it } from 'vitest';
import { memorySuite } from './memory-place.ts';

describe('the memory store', () => storeSuite({ describe, it }, memorySuite));
