import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RoomPolicy } from '../../src/cache/prune.ts';
import { key } from './keys.ts';
import { HOUR, openPlace } from './prune-place.ts';

it('a prune does as a plain reading of its policy says, for any history', async () => {
  await using place = await openPlace({
    usage: (steps) => [{ axis: 'bytes', used: steps * 10, total: 100 }],
  });
  await fc.assert(
    fc.asyncProperty(history, policy, async (steps, wanted) => {
      const model = new Model();
      const leases = [];
      for (const [i, { parent, leased, hours, used }] of steps.entries()) {
        const [number, above] = [i + 1, parent < i ? parent + 1 : undefined];
        place.save([number, above]);
        model.save(number, { parent: above, at: place.clock.now() });
        if (leased) leases.push(place.leases.take(key(number)));
        if (leased) model.inUse.add(number);
        await place.clock.advance(hours * HOUR);
        const again = (used % number) + 1;
        place.saved.index.touch([key(again)]);
        model.touch(again, place.clock.now());
      }
      const { hoursUnused, ...rest } = wanted;
      const since = place.clock.now() - (hoursUnused ?? 0) * HOUR;
      const asked = { ...rest, ...(hoursUnused === undefined ? {} : { unusedSince: new Date(since) }) };
      expect(await place.prune(asked)).toEqual(model.prune(asked));
      expect(place.kept().toSorted()).toEqual(model.kept().toSorted());
      for (const lease of leases) lease[Symbol.dispose]();
      await place.prune({});
      expect(place.kept()).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

const history = fc.array(
  fc.record({ parent: fc.nat(8), leased: fc.boolean(), hours: fc.nat(3), used: fc.nat(8) }),
  { minLength: 2, maxLength: 8, size: 'max' },
);
const policy = fc.record(
  {
    hoursUnused: fc.nat(8),
    keepFreeBytes: fc.integer({ min: 0, max: 100 }),
    maxObjects: fc.nat(8),
    limit: fc.nat(8),
  },
  { requiredKeys: [] },
);

interface ModelStep {
  readonly parent: number | undefined;
  at: number;
  order: number;
}

/** What a policy says, read plainly. */
class Model {
  readonly inUse = new Set<number>();
  readonly #steps = new Map<number, ModelStep>();
  #order = 0;

  save(number: number, { parent, at }: { readonly parent: number | undefined; readonly at: number }): void {
    this.#steps.set(number, { parent, at, order: this.#order++ });
  }

  touch(number: number, at: number): void {
    const step = this.#steps.get(number);
    if (step) Object.assign(step, { at, order: this.#order++ });
  }

  kept(): number[] {
    return [...this.#steps.keys()];
  }

  prune(policy: RoomPolicy): number[] {
    const removed: number[] = [];
    while (removed.length < (policy.limit ?? 100)) {
      const leaves = [...this.#steps].filter(
        ([number, step]) =>
          !this.#isBuiltUpon(number) && !this.inUse.has(number) && this.#mayGo(step, policy),
      );
      const [oldest] = leaves.sort(([, a], [, b]) => a.order - b.order);
      if (oldest === undefined) break;
      this.#steps.delete(oldest[0]);
      removed.push(oldest[0]);
    }
    return removed;
  }

  #isBuiltUpon(number: number): boolean {
    return [...this.#steps.values()].some(({ parent }) => parent === number);
  }

  #mayGo({ at }: ModelStep, { unusedSince, keepFreeBytes, maxObjects }: RoomPolicy): boolean {
    const count = this.#steps.size;
    if (unusedSince !== undefined && at < unusedSince.getTime()) return true;
    if (maxObjects !== undefined && count > maxObjects) return true;
    if (keepFreeBytes !== undefined && 100 - count * 10 < keepFreeBytes) return true;
    return unusedSince === undefined && maxObjects === undefined && keepFreeBytes === undefined;
  }
}
