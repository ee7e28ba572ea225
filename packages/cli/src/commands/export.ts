import { type Builder, err, type LeasedSnapshot, type Mounted, type Result } from '@snapstep/core';
import { type Command, Option } from 'commander';
import { perform } from '../action.ts';
import { storeFailure } from '../build-failure.ts';
import { exportDirectory, exportTar, onlyTree, type Trees } from '../export-tree.ts';
import { type Failure, usageFailure } from '../failure.ts';
import { type StoreOptions, storeOptions } from '../options.ts';
import { parseMode } from '../parse-values.ts';
import { resolveKey } from '../step-keys.ts';
import { tarToStdout } from '../tar.ts';
import { withBuilder } from '../with-builder.ts';
import { define } from './define.ts';

export function exportCommand(): Command {
  return define('export', {
    description: 'Copy the files of a saved step, with owners and extended attributes.',
    arguments: [
      ['<KEY>', 'a step key, or its first 8 digits or more'],
      ['<DEST>', 'a new or empty directory, a file that ends with .tar, or - for a tar on standard output'],
    ],
    options: [
      ...storeOptions(),
      new Option('--mode <MODE>', 'of a new directory, in octal: a step may leave set-uid programs in it')
        .argParser(parseMode)
        .default(0o700, '700'),
    ],
    examples: [
      'snapstep export 3f9a02c41be7 ./rootfs --mode 755',
      'snapstep export 3f9a02c41be7 rootfs.tar',
      'snapstep export 3f9a02c41be7 - | tar --list',
    ],
  }).action((key: string, destination: string, { mode, ...options }: StoreOptions & { mode: number }) =>
    perform((signal) =>
      withBuilder(options, (builder) => exportStep(builder, { key, destination, mode, signal })),
    ),
  );
}

interface ExportWork {
  readonly key: string;
  readonly destination: string;
  readonly mode: number;
  readonly signal: AbortSignal;
}

async function exportStep(builder: Builder, work: ExportWork): Promise<Result<void, Failure>> {
  if (work.destination === '-' && process.stdout.isTTY) {
    return err(usageFailure('a tar file is nothing for a terminal: redirect it, or name a file'));
  }
  const key = await resolveKey(builder, work.key, 'saved');
  if (key.isErr()) return err(key.error);
  const step = await builder.open(key.value);
  if (step.isErr()) return err(storeFailure(step.error));
  await using leased = step.value;
  return await exportLeased(leased, work);
}

async function exportLeased(
  { snapshot }: LeasedSnapshot,
  { destination, mode, signal }: ExportWork,
): Promise<Result<void, Failure>> {
  const mounted: Mounted[] = [];
  const trees = new Map<string, string>();
  try {
    for (const [name, volume] of snapshot.volumes) {
      const mount = await volume.mount();
      if (mount.isErr()) return err(storeFailure(mount.error));
      mounted.push(mount.value);
      trees.set(name, mount.value.path);
    }
    return await write(destination, { trees, mode, signal });
  } finally {
    for (const mount of mounted) await mount[Symbol.asyncDispose]();
  }
}

async function write(
  destination: string,
  options: { readonly trees: Trees; readonly mode: number; readonly signal: AbortSignal },
): Promise<Result<void, Failure>> {
  if (destination.endsWith('.tar')) return exportTar(destination, options);
  if (destination !== '-') return exportDirectory(destination, options);
  const tree = onlyTree(options.trees);
  return tree.isErr() ? err(tree.error) : tarToStdout(tree.value, options);
}
