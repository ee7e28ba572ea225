import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Result } from 'neverthrow';
import type {
  FetchError,
  Fetcher,
  ImageConfig,
  ImageRef,
  PinnedImage,
  UnpackIo,
} from '../../backend/fetcher.ts';
import { type HostPath, toHostPath } from '../../backend/names.ts';
import type { Volumes } from '../../backend/volume.ts';
import { keepsEqual } from '../promise.ts';
import { MountCounter } from '../sandbox/mount-counter.ts';
import { collect } from '../sandbox/scene.ts';
import { describeTree } from '../store/describe-tree.ts';
import { expectOk, mounted } from '../store/scene.ts';
import type { FetcherPlace } from './place.ts';
import { fetcherPromises as promises } from './promises.ts';

/** Registers one test, which gets a fresh place. */
export type FetcherTest = (title: string, body: (scene: FetcherScene) => Promise<void>) => void;

export interface Unpacked {
  readonly result: Result<ImageConfig, FetchError>;
  readonly volumes: Volumes;
  readonly log: string;
}

/** What nearly every test does with a fetcher, in few words. */
export class FetcherScene implements AsyncDisposable {
  readonly place: FetcherPlace;
  readonly fetcher: Fetcher;
  readonly #mounts = new MountCounter();
  readonly #directories: string[] = [];

  constructor(place: FetcherPlace) {
    this.place = place;
    this.fetcher = place.fetcher;
  }

  /** Makes files, and an image of them. */
  async publish(
    name: string,
    make: (path: string) => Promise<unknown>,
    config?: ImageConfig,
  ): Promise<{ readonly image: ImageRef; readonly files: HostPath }> {
    const directory = await mkdtemp(join(tmpdir(), 'snapstep-suite-'));
    this.#directories.push(directory);
    const files = toHostPath(join(directory, 'files'));
    await mkdir(files);
    await make(files);
    const image = await this.place.publish(name, { files, ...(config === undefined ? {} : { config }) });
    return { image, files };
  }

  pin(image: ImageRef): Promise<PinnedImage> {
    return expectOk(this.fetcher.pin(image, new AbortController().signal), promises.unpacked);
  }

  /** Unpacks into fresh volumes. What a fetcher promises of every call is checked each time. */
  async unpack(image: PinnedImage, options: Partial<Omit<UnpackIo, 'log'>> = {}): Promise<Unpacked> {
    const log = collect();
    const volumes = await this.volumes();
    const io = { signal: new AbortController().signal, ...options, log };
    const result = await this.fetcher.unpack(image, volumes, io);
    this.expectUnmounted();
    return { result, volumes, log: log.text() };
  }

  async volumes(): Promise<Volumes> {
    const volumes = await this.place.volumes();
    return new Map([...volumes].map(([name, volume]) => [name, this.#mounts.wrap(volume)]));
  }

  expectUnmounted(): void {
    keepsEqual(promises.unmounted, { mounted: this.#mounts.count }, { mounted: 0 });
  }

  async expectNothingLeft(): Promise<void> {
    const left = (await this.place.leftovers?.()) ?? [];
    keepsEqual(promises.quiet, left, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fetcher[Symbol.asyncDispose]();
    await this.place[Symbol.asyncDispose]();
    for (const directory of this.#directories) await rm(directory, { recursive: true, force: true });
  }
}

/** Everything in the volumes, one line for each file. */
export async function treeOf(volumes: Volumes): Promise<readonly string[]> {
  const trees: string[] = [];
  for (const volume of volumes.values()) trees.push(...(await mounted(volume, describeTree)));
  return trees;
}
