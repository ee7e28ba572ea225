import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  directoryVolume,
  type Fetcher,
  type ImageRef,
  orThrow,
  runCommand,
  toHostPath,
  toVolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import type { FetcherPlace } from '@snapstep/core/conformance';
import { type ScriptedImage, scriptedFetcher } from '@snapstep/core/testing';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { tempDir } from '@snapstep/test-support';

/** A fetcher that keeps its promises, and where the files of its images are. */
export interface Healthy {
  readonly fetcher: Fetcher;
  filesOf(image: ImageRef): string;
}

export type Change = (healthy: Healthy) => Partial<Fetcher>;

const platform = 'linux/amd64';

/** Root file systems in directories, and a fetcher made of a healthy one. */
export async function openDirectories(change: Change): Promise<FetcherPlace> {
  const temp = await tempDir();
  const images = new Map<string, string>();
  const filesOf = ({ name }: ImageRef) => join(temp.path, 'images', name);
  const stateDir = toHostPath(join(temp.path, 'state'));
  const fetcher = orThrow(await openOciFetcher({ stateDir, images, tagTtlMilliseconds: 0 }));
  const refer = (name: string): ImageRef => {
    images.set(name, `rootfs:${filesOf({ name, platform })}`);
    return { name, platform };
  };
  return {
    fetcher: derive(fetcher, change({ fetcher, filesOf })),
    async publish(name, { files }) {
      const path = filesOf({ name, platform });
      await rm(path, { recursive: true, force: true });
      orThrow(await runCommand('mkdir', ['-p', path]));
      orThrow(await runCommand('cp', ['-aT', files, path]));
      return refer(name);
    },
    missing: refer('missing'),
    readsOnce: true,
    volumes: () => freshVolumes(temp.path),
    damage: (image) => appendFile(join(filesOf(image), 'file'), 'damage'),
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

/** Images that have a configuration and files in their root directory, and a fetcher made of the scripted one. */
export async function openScripted(change: Change): Promise<FetcherPlace> {
  const temp = await tempDir();
  const images: Record<string, ScriptedImage> = {};
  const fetcher = scriptedFetcher(images);
  return {
    fetcher: derive(fetcher, change({ fetcher, filesOf: () => temp.path })),
    async publish(name, { files, config }) {
      const names = (await readdir(files, { withFileTypes: true })).filter((entry) => entry.isFile());
      const read = names.map(async (entry) => [
        entry.name,
        await readFile(join(files, entry.name), 'latin1'),
      ]);
      images[name] = { files: Object.fromEntries(await Promise.all(read)), ...config };
      return { name, platform };
    },
    missing: { name: 'missing', platform },
    async goOffline() {
      fetcher.isOnline = false;
      return {
        async [Symbol.asyncDispose]() {
          fetcher.isOnline = true;
        },
      };
    },
    volumes: () => freshVolumes(temp.path),
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

function derive(fetcher: Fetcher, members: Partial<Fetcher>): Fetcher {
  return {
    pin: (image, signal, options) => fetcher.pin(image, signal, options),
    unpack: (image, into, io) => fetcher.unpack(image, into, io),
    [Symbol.asyncDispose]: () => fetcher[Symbol.asyncDispose](),
    ...members,
  };
}

async function freshVolumes(dir: string): Promise<Volumes> {
  const name = toVolumeName('rootfs');
  return new Map([[name, directoryVolume(name, await mkdtemp(join(dir, 'rootfs-')))]]);
}
