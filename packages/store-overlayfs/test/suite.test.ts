import { storeSuite } from '@snapstep/core/conformance';
import { needs, tempDir } from '@snapstep/test-support';
import { describe, it } from 'vitest';
import { place } from './support/place.ts';

/** One of the device nodes is a whiteout, which the kernel lets nobody make in an overlay. */
const cannot = 'keeps device nodes';
const register = (title: string, body: () => Promise<void>) =>
  title === cannot ? it.fails(title, body) : it(title, body);

needs('root')('the overlayfs store', () => {
  storeSuite({ describe, it: register }, { open: async () => place(await tempDir()) });
});
needs('root')('the overlayfs store, with every third step copied', () => {
  storeSuite({ describe, it: register }, { open: async () => place(await tempDir(), { maxLayers: 2 }) });
});
