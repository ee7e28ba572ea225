import { prune, type Saved } from '../cache/prune.ts';
import { Slots } from '../cache/slots.ts';
import type { Engine, Room } from './engine.ts';

/** After the store said that it is full, this part of it shall be free: of its bytes, inodes and the like. */
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

/** The room of a builder. @param engine - Asked for once it is made. */
export function roomOf(engine: () => Engine): Room {
  const turns = new Slots(1);
  let removed = 0;
  const onRemoved = (): void => {
    removed += 1;
  };
  return {
    get removed() {
      return removed;
    },
    async make(since, signal) {
      using _turn = await turns.take(signal);
      if (removed !== since) return true;
      const saved = savedOf(engine());
      await prune(saved, { limit: 1, onRemoved }, signal);
      await prune(saved, { keepFreePart: ROOMY, onRemoved }, signal);
      return removed !== since;
    },
  };
}
