import { storeSuite } from '@snapstep/core/conformance';
import { tempDir } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { place } from './support/place.ts';

describe('the store on the disk of the temporary directory, copying', () => {
  storeSuite({ describe, it }, { open: async () => place(await tempDir(), {}) });
});
