import { storeSuite } from '@snapstep/core/conformance';
import { describe, it } from 'vitest';
import { openMemoryPlace } from './memory-place.ts';

describe('the memory store', () => storeSuite({ describe, it }, { open: openMemoryPlace }));
