import { storeSuite } from '@snapstep/core/conformance';
import { placeOn, storePlace, tempDir, tmpfsVolume } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { openDirectoryStore } from '../src/directory-store.ts';

const place = (path: string) => storePlace(path, openDirectoryStore);
const openSmall = async () => placeOn(await tmpfsVolume({ sizeMiB: 64 }), place);

describe('the directory store', () =>
  storeSuite(
    { describe, it },
    {
      open: async () => placeOn(await tempDir(), place),
      // To mount a small disk one must be root.
      ...(process.getuid?.() === 0 && { openSmall }),
      // The volumes are plain directories, in which the caller could write.
      except: ['refuses to write into a saved volume'],
    },
  ));
