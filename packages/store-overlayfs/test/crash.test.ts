import { crashSuite } from '@snapstep/core/conformance';
import { needs, tempDir } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { crashPlace } from './support/place.ts';

needs('root')('a killed owner of the overlayfs store', () => {
  crashSuite({ describe, it }, { place: async () => crashPlace(await tempDir()) });
});
