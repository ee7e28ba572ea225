import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toHostPath } from '@snapstep/core/backend';
import type { CrashPlace, StorePlace } from '@snapstep/core/conformance';
import { expectOk, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { openZfsStore, type ZfsStoreOptions } from '../../src/index.ts';
import { datasetsIn, leftoversIn, mountsOf } from './leftovers.ts';

const script = fileURLToPath(new URL('./churn-process.ts', import.meta.url));

export type Options = Omit<ZfsStoreOptions, 'dataset' | 'directory'>;

let datasets = 0;

/** A fresh dataset below one that is there, with a directory; both go when it is disposed. */
async function scratchDataset(
  parent: string,
  quota = 'none',
): Promise<{ readonly dataset: string; readonly directory: string } & AsyncDisposable> {
  const directory = await tempDir();
  datasets += 1;
  const dataset = `${parent}/t${process.pid}-${datasets}`;
  const properties = ['canmount=off', 'mountpoint=none', `quota=${quota}`];
  await execa('zfs', ['create', ...properties.flatMap((property) => ['-o', property]), dataset]);
  return {
    dataset,
    directory: directory.path,
    async [Symbol.asyncDispose]() {
      await execa('zfs', ['destroy', '-R', dataset], { reject: false });
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** A store in a fresh dataset. */
export async function place(
  parent: string,
  options: Options & { readonly quota?: string } = {},
): Promise<StorePlace> {
  const scratch = await scratchDataset(parent, options.quota);
  const directory = toHostPath(join(scratch.directory, 'store'));
  const open = () => openZfsStore({ ...options, dataset: scratch.dataset, directory });
  return {
    store: expectOk(await open()),
    reopen: async () => expectOk(await open()),
    openSecond: open,
    mounts: async () => (await mountsOf(scratch.dataset)).length,
    leftovers: () => leftoversIn({ dataset: scratch.dataset, directory }),
    dump: async () => (await datasetsIn(scratch.dataset)).join('\n'),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}

/** A fresh dataset, and the program that uses a store in it until it is killed. */
export async function crashPlace(parent: string): Promise<CrashPlace> {
  const scratch = await scratchDataset(parent);
  const { dataset } = scratch;
  const directory = toHostPath(join(scratch.directory, 'store'));
  return {
    command: [process.execPath, script, dataset, directory],
    open: async () => expectOk(await openZfsStore({ dataset, directory })),
    leftovers: () => leftoversIn({ dataset, directory }),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}
