import { type Builder, err, ok, type Pruned, type PrunePolicy, type Result } from '@snapstep/core';
import { type Command, Option } from 'commander';
import { perform } from '../action.ts';
import { storeFailure } from '../build-failure.ts';
import { type Failure, usageFailure } from '../failure.ts';
import { type StoreOptions, storeOptions } from '../options.ts';
import { writeErr, writeOut } from '../output.ts';
import { type FreeSpace, parseCount, parseDuration, parseFreeSpace, parseOffset } from '../parse-values.ts';
import { formatSize } from '../progress/format.ts';
import { withBuilder } from '../with-builder.ts';
import { define } from './define.ts';

interface Options extends StoreOptions {
  readonly olderThan?: number;
  readonly keepFree?: FreeSpace;
  readonly maxSteps?: number;
  readonly limit?: number;
}

export function pruneCommand(): Command {
  return define('prune', {
    description:
      'Delete saved steps, the least recently used first, that nothing is built upon. Without a condition, all go, and ' +
      'so do the logs of steps that failed.',
    options: [
      new Option('--older-than <TIME>', 'those that were not used for so long, such as 7d').argParser(
        parseDuration,
      ),
      new Option('--keep-free <SIZE>', 'until so much is free, such as 20G or 20%').argParser(parseFreeSpace),
      new Option('--max-steps <NUMBER>', 'until no more than so many are left').argParser(parseOffset),
      new Option('--limit <NUMBER>', 'delete no more than so many').argParser(parseCount),
      ...storeOptions(),
    ],
    examples: [
      'snapstep prune --older-than 7d',
      'snapstep prune --keep-free 20% --limit 100',
      'snapstep prune',
    ],
  }).action((options: Options) =>
    perform((signal) => withBuilder(options, (builder) => prune(builder, { options, signal }))),
  );
}

async function prune(
  builder: Builder,
  { options, signal }: { readonly options: Options; readonly signal: AbortSignal },
): Promise<Result<void, Failure>> {
  const keepFree = await keepFreeBytes(builder, options.keepFree);
  if (keepFree.isErr()) return err(keepFree.error);
  const printed: Promise<void>[] = [];
  const policy: PrunePolicy = {
    ...(options.olderThan === undefined ? {} : { unusedSince: new Date(Date.now() - options.olderThan) }),
    ...(keepFree.value === undefined ? {} : { keepFreeBytes: keepFree.value }),
    ...(options.maxSteps === undefined ? {} : { maxObjects: options.maxSteps }),
    ...(options.limit === undefined ? {} : { limit: options.limit }),
    onRemoved: (key) => void printed.push(writeOut(`${key}\n`)),
  };
  const removed = await builder.prune(policy, signal);
  await Promise.all(printed);
  if (removed.isErr()) return err(storeFailure(removed.error));
  await writeErr(`${summary(removed.value)}\n`);
  return ok();
}

function summary({ removed, logBytes }: Pruned): string {
  const logs = logBytes === 0 ? '' : `, and ${formatSize(logBytes)} of logs of steps that failed`;
  return `${removed.length} deleted${logs}`;
}

/** A share is a share of what the store says it has. */
async function keepFreeBytes(
  builder: Builder,
  wanted: FreeSpace | undefined,
): Promise<Result<number | undefined, Failure>> {
  if (wanted === undefined) return ok(undefined);
  if ('bytes' in wanted) return ok(wanted.bytes);
  const usage = await builder.usage();
  if (usage.isErr()) return err(storeFailure(usage.error));
  const total = usage.value.find(({ axis }) => axis === 'bytes')?.total;
  if (total === undefined) {
    return err(usageFailure('this store does not say how large it is: give --keep-free as a size'));
  }
  return ok(Math.round((total * wanted.percent) / 100));
}
