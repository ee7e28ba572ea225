import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { busyboxRootfs, tmpfsVolume } from '@snapstep/test-support';
import { execa } from 'execa';
import type { StoreKind, WorldPlace } from './answer.ts';
import type { FileSystem } from './disk.ts';
import { APPLETS, CONFIGURED, CONTEXT, IMAGE_DIRECTORY, IMAGE_WORD, PLAIN } from './recipes.ts';
import { writeTree } from './write-tree.ts';

/** The disk that each store is tried on. */
export const DISK_OF: Readonly<Record<StoreKind, FileSystem>> = {
  rsync: 'xfs',
  btrfs: 'btrfs',
  overlayfs: 'ext4',
};

/** What all cases share: a place in memory for disks, the images, and the context. */
export interface Bench extends AsyncDisposable {
  readonly directory: string;
  place(store: StoreKind, disks: { readonly store: string; readonly state?: string }): WorldPlace;
}

export async function openBench(): Promise<Bench> {
  const memory = await tmpfsVolume({ sizeMiB: 8192 });
  const at = (name: string): string => join(memory.path, name);
  try {
    await busyboxRootfs(await made(at('rootfs')), APPLETS);
    await writeTree(at('context'), CONTEXT);
    await makeLayout(at('layout'), at('rootfs'));
  } catch (error) {
    await memory[Symbol.asyncDispose]();
    throw error;
  }
  const images = { [CONFIGURED]: `oci:${at('layout')}:latest`, [PLAIN]: `rootfs:${at('rootfs')}` };
  return {
    directory: memory.path,
    place: (store, disks) => ({
      store,
      storeDisk: disks.store,
      ...(disks.state === undefined ? {} : { stateDisk: disks.state }),
      // Both runtimes have their share, and each store keeps to one.
      runtime: store === 'btrfs' ? 'runc' : 'crun',
      images,
      context: at('context'),
    }),
    [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
  };
}

/** An image with the files of `rootfs` and settings of its own. */
async function makeLayout(layout: string, rootfs: string): Promise<void> {
  await made(join(rootfs, IMAGE_DIRECTORY));
  const image = `${layout}:latest`;
  await execa('umoci', ['init', '--layout', layout]);
  await execa('umoci', ['new', '--image', image]);
  await execa('umoci', ['insert', '--image', image, rootfs, '/']);
  const settings = [`--config.env=WORD=${IMAGE_WORD}`, `--config.workingdir=${IMAGE_DIRECTORY}`];
  await execa('umoci', ['config', '--image', image, ...settings]);
}

async function made(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  return directory;
}
