import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok } from 'neverthrow';
import type { StoreError } from '../../backend/failures.ts';
import type { PinnedImage } from '../../backend/fetcher.ts';
import type { Volume, Volumes } from '../../backend/volume.ts';
import { hostTool } from '../host-tool.ts';
import { keeps } from '../promise.ts';
import { isRoot } from '../store/scene.ts';
import { withText } from './pins.ts';
import { fetcherPromises as promises } from './promises.ts';
import type { FetcherScene, FetcherTest } from './scene.ts';

/** The builder makes room, and tries once more, where it is told that there is none. */
export function fullDiskTests(test: FetcherTest): void {
  test('answers `no-space` where a volume has no room for the image (as root on Linux)', async (scene) => {
    if (!isRoot || process.platform !== 'linux') return;
    const { image } = await scene.publish('big', (path) =>
      writeFile(join(path, 'random'), randomBytes(1024 * 1024)),
    );
    const volumes = mapVolumes(await scene.volumes(), small);
    await expectNoSpace(scene, await scene.pin(image), volumes);
    scene.expectUnmounted();
  });
  test('answers `no-space` where there is no room to mount a volume', async (scene) => {
    const { image } = await scene.publish('small', withText('text'));
    const full: StoreError = { type: 'no-space', message: 'there is no room for a mount point' };
    const volumes = mapVolumes(await scene.volumes(), ({ name }) => ({ name, mount: async () => err(full) }));
    await expectNoSpace(scene, await scene.pin(image), volumes);
  });
}

function mapVolumes(volumes: Volumes, change: (volume: Volume) => Volume): Volumes {
  return new Map([...volumes].map(([name, volume]) => [name, change(volume)]));
}

/** A volume with a disk of 64 KiB in its place. */
function small(volume: Volume): Volume {
  return {
    name: volume.name,
    async mount() {
      const mounted = await volume.mount();
      if (mounted.isErr()) return mounted;
      const { path } = mounted.value;
      await hostTool('mount', ['-n', '-t', 'tmpfs', '-o', 'size=64k', 'snapstep-suite', path]);
      let isMounted = true;
      return ok({
        path,
        async [Symbol.asyncDispose]() {
          if (isMounted) await hostTool('umount', ['-n', path]);
          isMounted = false;
          await mounted.value[Symbol.asyncDispose]();
        },
      });
    },
  };
}

async function expectNoSpace(scene: FetcherScene, image: PinnedImage, volumes: Volumes): Promise<void> {
  const io = { log: { write: async () => {} }, signal: new AbortController().signal };
  const unpack = async () => scene.fetcher.unpack(image, volumes, io);
  const result = await unpack().catch((error: unknown) => err(error));
  keeps(promises.noSpace, result.isErr() && isNoSpace(result.error), result);
}

function isNoSpace(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'type' in error && error.type === 'no-space';
}
