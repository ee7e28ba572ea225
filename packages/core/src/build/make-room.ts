import type { Store } from '../backend/store.ts';
import { prune, type Saved } from '../cache/prune.ts';
import type { Engine } from './engine.ts';

/** After the store said that it is full, this part of it shall be free. */
const ROOMY = 0.1;

/** What removal needs to know of an engine. */
export function savedOf({ index, store, leases, steps, logs, records }: Engine): Saved {
  return {
    index,
    store,
    leases,
    steps,
    onRemoved: async (key) => {
      await logs.remove(key);
      await records.remove(key);
    },
  };
}

/** Prunes until a tenth of the store is free, at least one step. @returns How many steps went. */
export async function pruneUntilRoomy(engine: Engine, signal: AbortSignal): Promise<number> {
  const saved = savedOf(engine);
  let removed = 0;
  const onRemoved = (): void => {
    removed += 1;
  };
  await prune(saved, { limit: 1, onRemoved }, signal);
  const keepFreeBytes = await roomyBytes(engine.store);
  if (keepFreeBytes !== undefined) await prune(saved, { keepFreeBytes, onRemoved }, signal);
  return removed;
}

async function roomyBytes(store: Store): Promise<number | undefined> {
  const usage = await store.usage();
  const bytes = usage.isOk() ? usage.value.find(({ axis }) => axis === 'bytes') : undefined;
  return bytes?.total === undefined ? undefined : bytes.total * ROOMY;
}
