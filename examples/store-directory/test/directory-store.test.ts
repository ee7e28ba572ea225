import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import { storeSuite } from '@snapstep/core/conformance';
import { expectOk, tempDir } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { openDirectoryStore } from '../src/directory-store.ts';

storeSuite(
  { describe, it },
  {
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
);
