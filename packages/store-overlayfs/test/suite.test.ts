import { storeSuite } from '@snapstep/core/conformance';
import { ext4Volume, needs, tempDir } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { place } from './support/place.ts';

const except = [
  // The kernel lets nobody make a whiteout in an overlay.
  'keeps the device node 0:0, which is a whiteout to overlayfs',
  // Overlayfs copies a file under the name that it is written through; the other names keep the old file.
  'shows through every name of a file what a child wrote through one of them',
];

needs('root')('the overlayfs store', () => {
  storeSuite(
    { describe, it },
    {
      open: async () => place(await tempDir()),
      openSmall: async () => place(await ext4Volume({ sizeMiB: 64 })),
      except,
    },
  );
});
needs('root')('the overlayfs store, with every third step copied', () => {
  storeSuite(
    { describe, it },
    { open: async () => place(await tempDir(), { maxLayers: 2 }), except: [...except, 'aborts'], scale: 0.3 },
  );
});
