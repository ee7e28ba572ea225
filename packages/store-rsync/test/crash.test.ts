import { crashSuite } from '@snapstep/core/conformance';
import { btrfsVolume, needs, tempDir } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { crashPlace } from './support/crash-place.ts';

describe('a killed owner of the store that copies', () => {
  crashSuite({ describe, it }, { place: async () => crashPlace(await tempDir(), { method: 'copy' }) });
});
needs('rsync')('a killed owner of the store that uses rsync and shares files', () => {
  const options = { method: 'rsync', linkIdentical: true } as const;
  crashSuite({ describe, it }, { place: async () => crashPlace(await tempDir(), options) });
});
needs('root', 'btrfs')('a killed owner of the store that uses reflinks', () => {
  crashSuite({ describe, it }, { place: async () => crashPlace(await btrfsVolume(), { method: 'reflink' }) });
});
