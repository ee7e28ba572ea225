import { readdir, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  cancelled,
  err,
  ok,
  orThrow,
  type Result,
  runCommand,
  type StoreError,
} from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { fail, firstPath, patch, pathOfSaved } from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** What an abort does, and does not. */
export const abortMutants: readonly Mutant[] = [
  storeMutant({
    name: 'abort-answers-failed',
    breaks: 'cancelled',
    seenBy: 'answers an abort before the call',
    mutate: (store) =>
      patch(store, (inner) => ({
        prepare: async (request) =>
          request.signal.aborted ? fail('cp was killed by SIGTERM') : inner.prepare(request),
      })),
  }),
  storeMutant({
    name: 'abort-loses-the-reason',
    breaks: 'cancelled',
    seenBy: 'leaves nothing of a prepare that was aborted',
    mutate: (store) =>
      patch(store, (inner) => ({
        prepare: async (request) =>
          (await inner.prepare(request)).mapErr((error) =>
            error.type === 'cancelled' ? { ...error, reason: new Error('aborted') } : error,
          ),
      })),
  }),
  storeMutant({
    name: 'abort-settles-early',
    breaks: 'quiet',
    also: ['abortedPrepare'],
    seenBy: 'leaves nothing of a prepare that was aborted',
    mutate: (store) =>
      patch(store, (inner) => ({
        async prepare(request) {
          const { signal } = request;
          const late = new AbortController().signal;
          // A disk that takes a while.
          const copying = runCommand('sleep', ['0.3']).then(() =>
            inner.prepare({ ...request, signal: late }),
          );
          const aborted = new Promise<'aborted'>((resolve) => {
            if (signal.aborted) resolve('aborted');
            else signal.addEventListener('abort', () => resolve('aborted'));
          });
          const first = await Promise.race([copying, aborted]);
          return first === 'aborted' ? err(cancelled(signal)) : first;
        },
      })),
  }),
  storeMutant({
    name: 'abort-leaves-the-draft',
    breaks: 'abortedPrepare',
    seenBy: 'leaves nothing of a prepare that was aborted',
    mutate: (store, { disk }) =>
      patch(store, (inner) => ({
        async prepare(request) {
          const prepared = await inner.prepare(request);
          if (prepared.isErr()) await writeFile(join(dirname(disk.fresh()), 'half-copied'), '');
          return prepared;
        },
      })),
  }),
  storeMutant({
    name: 'abort-passes-for-whole',
    breaks: 'abortedWhole',
    seenBy: 'leaves nothing of a prepare that was aborted',
    mutate: (store) =>
      patch(store, (inner) => ({
        async prepare(request) {
          const { signal } = request;
          if (signal.aborted) return inner.prepare(request);
          const prepared = await inner.prepare({ ...request, signal: new AbortController().signal });
          if (prepared.isErr() || !signal.aborted) return prepared;
          const cwd = await firstPath(prepared.value.volumes);
          orThrow(await runCommand('find', ['.', '-mindepth', '2', '-delete'], { cwd }));
          return prepared;
        },
      })),
  }),
  storeMutant({
    name: 'abort-leaves-deep-levels',
    breaks: 'abortedPrepare',
    seenBy: 'leaves nothing of a prepare of a deep tree that was aborted',
    mutate: (store, { disk }) =>
      patch(store, (inner) => ({
        async prepare(request) {
          const prepared = await inner.prepare(request);
          if (prepared.isOk() || !('snapshot' in request.from)) return prepared;
          const cwd = await pathOfSaved(store, request.from.snapshot);
          const deep = orThrow(
            await runCommand('find', ['.', '-mindepth', '50', '-print', '-quit'], { cwd }),
          );
          if (deep !== '') await writeFile(join(dirname(disk.fresh()), 'too-deep'), '');
          return prepared;
        },
      })),
  }),
  storeMutant({
    name: 'remove-half-aborted',
    breaks: 'abortedRemove',
    seenBy: 'whose removal was aborted',
    scale: 1,
    mutate: (store, { disk }) =>
      patch(store, (inner) => ({
        async remove(key, signal) {
          const stopped = await deleteFiles(disk.saved(key), signal);
          return stopped.isErr() ? stopped : inner.remove(key);
        },
      })),
  }),
];

/** One after the other, in the place where `lookup` finds them. */
async function deleteFiles(path: string, signal: AbortSignal | undefined): Promise<Result<void, StoreError>> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (signal?.aborted) return err(cancelled(signal));
    if (entry.isFile()) await unlink(join(entry.parentPath, entry.name));
  }
  return ok();
}
