import { crashSuite } from '@snapstep/core/conformance';
import { btrfsVolume, needs } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { crashPlace } from './support/crash-place.ts';

needs('root', 'btrfs')('a killed owner of the Btrfs store', () => {
  crashSuite({ describe, it }, { place: async () => crashPlace(await btrfsVolume(), {}) });
});
