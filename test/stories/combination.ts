import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Builder, openBuilder, type Sandbox, type Store, toHostPath } from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openBtrfsStore } from '@snapstep/store-btrfs';
import { openOverlayfsStore } from '@snapstep/store-overlayfs';
import { openRsyncStore } from '@snapstep/store-rsync';
import { btrfsVolume, busyboxRootfs, expectOk, type Need, needs, tempDir } from '@snapstep/test-support';

/** Few, so that copying the image takes little of a test's time. */
const APPLETS = 'cat chmod echo env grep hostname id ls printf rm sh sleep test true wc'.split(' ');

export interface Combination {
  readonly store: 'rsync' | 'btrfs' | 'overlayfs';
  readonly runtime: 'runc' | 'crun';
}

const openStore = { rsync: openRsyncStore, btrfs: openBtrfsStore, overlayfs: openOverlayfsStore };

const COMBINATIONS: readonly Combination[] = [
  { store: 'rsync', runtime: 'runc' },
  { store: 'rsync', runtime: 'crun' },
  { store: 'btrfs', runtime: 'runc' },
  { store: 'btrfs', runtime: 'crun' },
  { store: 'overlayfs', runtime: 'crun' },
];

/** Runs the tests over every store with every runtime. */
export function forEachCombination(title: string, body: (combination: Combination) => void): void {
  for (const combination of COMBINATIONS) {
    const { store, runtime } = combination;
    const tools: Need[] = ['root', 'busybox', runtime];
    // What an overlay needs beside root, the kernel has.
    if (store !== 'overlayfs') tools.push(store);
    needs(...tools)(`${title}, ${store} and ${runtime}`, () => body(combination));
  }
}

/** A directory with a store, a sandbox and an image called `busybox`: real ones. */
export interface Place extends AsyncDisposable {
  /** The disk that the store is on. */
  readonly path: string;
  /** The files of the image. */
  readonly rootfs: string;
  open(options?: { readonly concurrency?: number }): Promise<OpenPlace>;
}

export interface OpenPlace extends AsyncDisposable {
  readonly builder: Builder;
  readonly store: Store;
  readonly sandbox: Sandbox;
}

export async function makePlace(combination: Combination): Promise<Place> {
  const disk = combination.store === 'btrfs' ? await btrfsVolume({ sizeMiB: 2048 }) : await tempDir();
  const image = await tempDir();
  const rootfs = join(image.path, 'busybox');
  await mkdir(rootfs);
  await busyboxRootfs(rootfs, APPLETS);
  return {
    path: disk.path,
    rootfs,
    open: (options) => openAt({ path: disk.path, rootfs, ...combination, ...options }),
    [Symbol.asyncDispose]: async () => {
      await disk[Symbol.asyncDispose]();
      await image[Symbol.asyncDispose]();
    },
  };
}

export interface OpenOptions extends Combination {
  readonly path: string;
  readonly rootfs: string;
  readonly concurrency?: number;
}

/** The sandbox comes first: what a killed process left running must end before the store clears up. */
export async function openAt(options: OpenOptions): Promise<OpenPlace> {
  const { path, rootfs, runtime, concurrency } = options;
  const dir = (name: string): ReturnType<typeof toHostPath> => toHostPath(join(path, name));
  const sandbox = expectOk(await openRuncSandbox({ stateDir: dir('sandbox'), runtime }));
  const store = expectOk(await openStore[options.store]({ path: dir('store') }));
  const images = new Map([['busybox', `rootfs:${rootfs}`]]);
  const fetcher = expectOk(await openOciFetcher({ stateDir: dir('fetcher'), images }));
  const builder = expectOk(
    await openBuilder({
      store,
      sandbox,
      fetcher,
      stateDir: dir('builder'),
      ...(concurrency === undefined ? {} : { concurrency }),
    }),
  );
  return {
    builder,
    store,
    sandbox,
    [Symbol.asyncDispose]: async () => {
      for (const part of [builder, fetcher, store, sandbox]) await part[Symbol.asyncDispose]();
    },
  };
}
