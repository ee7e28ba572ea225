import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  directoryVolume,
  type ImageRef,
  toHostPath,
  toVolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import { type FetcherPlace, fetcherSuite, type SuiteImage } from '@snapstep/core/conformance';
import { expectOk, needs, type Registry, startProxy, startRegistry, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { openOciFetcher } from '../src/index.ts';
import { LayoutWriter } from './suite-images.ts';

const platform = 'linux/amd64';

needs(
  'root',
  'skopeo',
  'umoci',
)('the promises of a fetcher, with OCI layouts', () => fetcherSuite({ describe, it }, { open: openLayouts }));

needs(
  'root',
  'skopeo',
  'umoci',
  'docker-registry',
)('the promises of a fetcher, with a registry', () => {
  let registry: Registry;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());
  fetcherSuite({ describe, it }, { open: () => openRegistry(registry) });
});

needs('root')('the promises of a fetcher, with root file systems', () =>
  // A directory says nothing about the commands that run in it.
  fetcherSuite({ describe, it }, { open: openRootfs, except: ['configuration'] }),
);

async function openLayouts(): Promise<FetcherPlace> {
  const base = await openBase();
  const layout = new LayoutWriter(join(base.dir, 'images'));
  await layout.put('another', await emptyImage(base.dir));
  return {
    ...base,
    async publish(name, image) {
      await layout.put(name, image);
      return base.name(name, `oci:${layout.path}:${name}`);
    },
    missing: base.name('missing', `oci:${layout.path}:missing`),
    damage: ({ name }) => layout.damage(name),
  };
}

async function openRegistry(registry: Registry): Promise<FetcherPlace> {
  const proxy = await startProxy(registry.host);
  const base = await openBase(proxy.host);
  const layout = new LayoutWriter(join(base.dir, 'images'));
  const repository = basename(base.dir).toLowerCase();
  const push = async (name: string, image: SuiteImage) => {
    await layout.put(name, image);
    await registry.push(`oci:${layout.path}:${name}`, `${repository}:${name}`);
    return { name: `${proxy.host}/${repository}:${name}`, platform };
  };
  await push('another', await emptyImage(base.dir));
  return {
    ...base,
    publish: push,
    missing: { name: `${proxy.host}/${repository}:missing`, platform },
    goOffline: async () => proxy.behave('refuse'),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await base[Symbol.asyncDispose]();
    },
  };
}

async function openRootfs(): Promise<FetcherPlace> {
  const base = await openBase();
  const images = join(base.dir, 'images');
  await mkdir(images);
  return {
    ...base,
    async publish(name, { files }) {
      const path = join(images, name);
      await rm(path, { recursive: true, force: true });
      await execa('cp', ['-aT', files, path]);
      return base.name(name, `rootfs:${path}`);
    },
    readsOnce: true,
    missing: base.name('missing', `rootfs:${join(images, 'missing')}`),
  };
}

interface Base extends Omit<FetcherPlace, 'publish' | 'missing'> {
  readonly dir: string;
  /** Says what an image's name means here. */
  name(name: string, reference: string): ImageRef;
}

/** A fetcher and a directory of its own. */
async function openBase(registry?: string): Promise<Base> {
  const temp = await tempDir();
  const stateDir = toHostPath(join(temp.path, 'state'));
  const insecureRegistries = registry === undefined ? [] : [registry];
  const images = new Map<string, string>();
  const options = { stateDir, images, insecureRegistries, tagTtlMilliseconds: 0 };
  return {
    name(name, reference) {
      images.set(name, reference);
      return { name, platform };
    },
    dir: temp.path,
    fetcher: expectOk(await openOciFetcher(options)),
    volumes: () => freshVolumes(temp.path),
    leftovers: () => leftoversIn(temp.path),
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

async function freshVolumes(dir: string): Promise<Volumes> {
  const name = toVolumeName('rootfs');
  return new Map([[name, directoryVolume(name, await mkdtemp(join(dir, 'rootfs-')))]]);
}

async function emptyImage(dir: string): Promise<SuiteImage> {
  const files = join(dir, 'empty');
  await mkdir(files);
  return { files: toHostPath(files) };
}

/** Programs that work in a directory, what is mounted below it, and the pulls of a fetcher there. */
async function leftoversIn(dir: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  const pulls = await readdir(join(dir, 'state/tmp'), { recursive: true });
  return [
    ...[...(await Promise.all(commands)), ...mounts].filter((line) => line.includes(dir)),
    ...pulls.filter((path) => basename(path).startsWith('pull-')),
  ];
}
