import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import { storeSuite } from '@snapstep/core/conformance';
import { expectOk, tempDir } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { openDirectoryStore } from '../src/directory-store.ts';

describe('the directory store', () =>
  storeSuite(
    { describe, it },
    {
      // The volumes are plain directories, in which the caller could write.
      except: ['refuses to write into a saved volume'],
      async open() {
        const directory = await tempDir();
        const open = () => openDirectoryStore(toHostPath(join(directory.path, 'store')));
        return {
          store: expectOk(await open()),
          reopen: async () => expectOk(await open()),
          openSecond: open,
          [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
        };
      },
    },
  ));
