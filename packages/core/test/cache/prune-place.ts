import { expectOk, tempDir } from '@snapstep/test-support';
import { IndexDb } from '../../src/cache/index-db.ts';
import { Leases } from '../../src/cache/leases.ts';
import { prune, type RoomPolicy, type Saved } from '../../src/cache/prune.ts';
import { StepTable } from '../../src/cache/step-table.ts';
import {
  err,
  failed,
  ok,
  type StepKey,
  type StoreError,
  toHostPath,
  type UsageAxis,
} from '../../src/index.ts';
import { memoryStore, virtualClock } from '../../src/testing/index.ts';
import { key } from './keys.ts';

export const HOUR = 3_600_000;
export const BROKEN = failed('the device is busy');

type Usage = (steps: number) => UsageAxis[];

/** An index with steps that have numbers, over a memory store that need not hold them. */
export async function openPlace(
  options: { readonly usage?: Usage; readonly onRemoved?: (at: StepKey) => Promise<void> } = {},
) {
  const [dir, store, clock, leases] = [await tempDir(), await memoryStore(), virtualClock(), new Leases()];
  const index = IndexDb.open(toHostPath(dir.path), clock);
  const steps = new StepTable<StoreError>({ leases, beginLog: () => noLog });
  const { usage, onRemoved = async () => {} } = options;
  if (usage) store.usage = async () => ok(usage(index.countSaved()));
  const saved: Saved = { index, store, leases, steps, onRemoved };
  return {
    saved,
    store,
    clock,
    leases,
    /** Each with the number of its parent, if it has one. */
    save: (...numbers: readonly (readonly [number: number, parent?: number | undefined])[]): void => {
      for (const [number, parent] of numbers) {
        const above = parent === undefined ? undefined : key(parent);
        index.begin(key(number), { parent: above, op: 'run', title: 'run' });
        index.saved(key(number), 1);
      }
    },
    prune: async (policy: RoomPolicy): Promise<number[]> =>
      expectOk(await prune(saved, policy)).map(numberOf),
    kept: (): number[] => index.list().map((step) => numberOf(step.key)),
    countReclaims: (): (() => number) => {
      let count = 0;
      store.reclaimed = async () => {
        count += 1;
        return ok();
      };
      return () => count;
    },
    /** Lets a step run until the answer is called. */
    run: (at: StepKey): (() => Promise<unknown>) => {
      const end = Promise.withResolvers<void>();
      const { signal } = new AbortController();
      const produce = async () => {
        await end.promise;
        return err(BROKEN);
      };
      const running = steps.obtain(
        {
          key: at,
          signal,
          produce,
          outlivesWaiter: true,
          logBytes: 1000,
          onQueue: () => {},
          onStart: () => {},
        },
        () => undefined,
      );
      return () => {
        end.resolve();
        return running;
      };
    },
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const noLog = {
  log: { key: key(0), follow: async function* () {}, watch: async function* () {} },
  write: async () => {},
  end: async () => {},
};

export function numberOf(at: StepKey): number {
  return Number.parseInt(at, 16);
}
