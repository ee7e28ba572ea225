import type { Survivors } from './survivor.ts';

export const CACHE: Survivors = {
  'cache/cache-broker.ts': [
    {
      within: 'CacheBroker.#generation',
      names: ['0 → 1'],
      why: 'Generations are only compared with each other, so it does not matter at which number they begin.',
    },
  ],
  'cache/cache-marks.ts': [
    {
      within: 'CacheMarks.#turn',
      names: ['0 → 1'],
      why: 'Turns are only compared with each other, and the first sync adds one: a mark of turn 0 is older either way.',
    },
    {
      within: 'CacheMarks.constructor',
      names: ["'in this boot' → ''"],
      why: "`markedCaches` takes everything but 'earlier' for 'in this boot'.",
    },
  ],
  'cache/durability.ts': [
    {
      within: 'Durability.#mark',
      names: ["'the index cannot be marked' → ''"],
      why: 'Only `debug` prints this failure.',
    },
    {
      within: 'Durability.#syncDisks',
      names: ["'the store threw where it should answer' → ''"],
      why: 'Only `debug` prints this failure.',
    },
  ],
  'cache/leases.ts': [
    {
      within: 'Leases.#drop',
      names: ['this.#counts.get(key) ?? 0 → this.#counts.get(key)', '0 → 1'],
      why: 'Only a lease that is held is dropped, and as long as it is held, its key has a count.',
    },
  ],
  'cache/prune.ts': [
    {
      within: 'mayGo',
      names: ['unusedSince !== undefined && step.usedAt < unusedSince → step.usedAt < unusedSince'],
      why: 'No date is less than undefined; TypeScript wants to be told.',
    },
    {
      within: 'isUnderPressure',
      names: [
        'maxObjects !== undefined && index.countSaved() > maxObjects → index.countSaved() > maxObjects',
      ],
      why: 'No number is greater than undefined. It is only slower: the steps are counted for nothing.',
    },
    {
      within: 'isUnderPressure',
      names: ['FILLED.includes(axis) && total !== undefined → FILLED.includes(axis)'],
      why: 'Where the total is undefined, both sides of the next comparison are NaN, so it is false.',
    },
  ],
  'cache/reconcile.ts': [
    {
      within: 'removeOrphans',
      names: ['busy.push(key) → busy.unshift(key)'],
      why: 'Rounds go on until one removes nothing, so their order changes only how many they are.',
    },
  ],
};
