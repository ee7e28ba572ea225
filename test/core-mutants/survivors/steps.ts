import type { Survivor, Survivors } from './survivor.ts';

const SWEEP: readonly Survivor[] = [
  {
    within: 'filesOfFailed',
    names: ['files.push(file) → files.unshift(file)'],
    why: 'They are sorted afterwards, and files of the same moment have no order.',
  },
  {
    within: 'sweepRecords',
    names: ["'steps' → ''"],
    why: 'Only slower: what else is named after a step is a log, and a log that is so old is gone by then.',
  },
  {
    within: 'sweepRecords',
    names: ["file.name.split('.')[0] ?? '' → file.name.split('.')[0]", "'' → 'mutant'"],
    why: 'What `split` gives has a first part, if only an empty one.',
  },
  {
    within: 'sweepRecords',
    names: ['!file.isFile() || !isStepKey(key) || engine.index.has(key) → !file.isFile() || !isStepKey(key)'],
    why: 'Only slower: `forget` asks the index too, and here it spares a look at each record of a saved step.',
  },
  {
    within: 'forget',
    names: ['[key] → []'],
    why: 'A step can begin, or be removed, only while a file is unlinked here, which no test can hold up.',
  },
  {
    within: 'forget',
    names: ['await records.remove(key) → records.remove(key)'],
    why: 'The file is unlinked while the sweep goes on to look at all records, before it answers.',
  },
];

const RESTORE: readonly Survivor[] = [
  {
    within: 'inOrder',
    names: [
      'at !== undefined && !rows.has(at) → at !== undefined || !rows.has(at)',
      'at !== undefined && !rows.has(at) → at !== undefined',
    ],
    why: 'Only slower: a row that is there already is made once more, as it was, in its old place.',
  },
  {
    within: 'inOrder',
    names: [
      'at !== undefined && !rows.has(at) → !rows.has(at)',
      'parent !== undefined && rows.has(parent) → rows.has(parent)',
    ],
    why: 'Only for the types: neither map has anything under `undefined`.',
  },
  {
    within: 'parentOf',
    names: ["'parent' in inputs → true"],
    why: 'Only for the types: the inputs of a base image have no parent, and so read as undefined.',
  },
];

const ROOM: readonly Survivor[] = [
  {
    within: 'roomOf',
    names: ['0 → 1', 'removed += 1 → removed -= 1'],
    why: 'It is only asked whether the number has changed.',
  },
  {
    within: 'roomOf',
    names: ['ROOMY[tries] ?? 1 → ROOMY[tries]'],
    why: 'No caller tries so often; and then all goes that is not in use, with a part of 1 as without any.',
  },
];

const NOT_KEYED = 'What is undefined does not enter a key.';

const KEYS: readonly Survivor[] = [
  { within: 'destination', names: ['user === undefined → false'], why: NOT_KEYED },
  {
    within: 'StepKeys.#pin',
    names: ['{ image: own.value, isInStore: true, pull } → { image: own.value, isInStore: true }'],
    why: 'No fetcher is asked for an image that the store holds, so nobody reads it.',
  },
  {
    within: 'StepKeys.#pin',
    names: ['isInStore: false, → ∅'],
    why: 'It is only asked whether it holds, and undefined does not.',
  },
  {
    within: 'StepKeys.#quickKey',
    names: ['source.value.at(-1)?.key → source.value.at(-1).key'],
    why: 'Only for the types: each stage has a first step, its base image.',
  },
  {
    within: 'StepKeys.#step',
    names: [', quick: quick.value → ∅'],
    why: 'Where the key is known without the files, it is remembered under the quick one already.',
  },
  {
    within: 'StepKeys.#quickKey',
    names: ['stage === undefined → false'],
    why: 'No key is ever remembered under a quick one without a stage: what is made has sources whose keys are known.',
  },
  {
    within: 'StepKeys.#quickKey',
    names: ["op: 'copy-from-stage', → ∅", "'copy-from-stage' → ''"],
    why: 'No other key is made of these members.',
  },
  {
    within: 'StepKeys.#contextManifest',
    names: ['root === undefined → false'],
    why: '`checkRequest` has refused what copies from no context.',
  },
];

const IN_TURN = 'The log writes in turn what it is asked to, and a note never rejects.';

const RUN: readonly Survivor[] = [
  {
    within: 'runInputs',
    names: ['settings.user === undefined → false'],
    why: NOT_KEYED,
  },
  {
    within: 'versionOf',
    names: ['secret instanceof Uint8Array → false'],
    why: 'Bytes have no version, and what is undefined does not enter a key.',
  },
  {
    within: 'runBody',
    names: ['cancelled(io.signal) → cancelled()'],
    why: 'It throws then, and what is thrown after the signal was aborted is told as cancelled by the same signal.',
  },
  {
    within: 'isSuccess',
    names: ["exit.type === 'exited' && exit.code === 0 → exit.code === 0"],
    why: 'Only for the types: no other kind of end has a code.',
  },
  {
    within: 'CacheCopies.checkOut',
    names: [
      'await this.#note(`The cache "${id}" could not be copied, and begins anew: ${dropped.messag… → this.#note(`The cache "${id}" could not be copied, and begins anew: ${dropped.message}`)',
    ],
    why: IN_TURN,
  },
  {
    within: 'CacheCopies.finish',
    names: [
      'await this.#note(`What is in the cache "${id}" cannot be kept: ${finished.error.message}`) → this.#note(`What is in the cache "${id}" cannot be kept: ${finished.error.message}`)',
    ],
    why: IN_TURN,
  },
  {
    within: 'CacheCopies.#note',
    names: [
      'await this.#log.write(`${text}\\n`).catch(() => {}) → this.#log.write(`${text}\\n`).catch(() => {})',
    ],
    why: IN_TURN,
  },
  {
    within: 'argvOf',
    names: ['first ?? op.command → first'],
    why: 'Only for the types: of a list that ends with the command there is a first one.',
  },
  {
    within: 'given',
    names: ['secret === undefined → false'],
    why: '`checkRequest` has refused a spec whose secrets are not all given.',
  },
  {
    within: 'CacheCopies.checkOut',
    names: ['this.#copies.push([id, copy.value]) → this.#copies.unshift([id, copy.value])'],
    why: 'The copies are of different caches, and may be kept in any order.',
  },
];

const NO_QUOTA = '`checkRequest` has refused `diskBytes` where the store has no quotas.';

const PRODUCE: readonly Survivor[] = [
  {
    within: 'fill',
    names: [
      'engine.store.quota?.limit(active, step.diskBytes) → engine.store.quota.limit(active, step.diskBytes)',
      'limited?.isErr() → limited.isErr()',
    ],
    why: NO_QUOTA,
  },
  {
    within: 'fill',
    names: [
      'engine.disks.begin(active.volumes, allowance) → __undisposed(engine.disks.begin(active.volumes, allowance))',
    ],
    why: 'All that was mounted for the step is unmounted by then, and with that it is watched no more.',
  },
  {
    within: 'fillAndCommit',
    names: ['cancelled(io.signal) → cancelled()'],
    why: 'It throws then, and what is thrown after the signal was aborted is told as cancelled by the same signal.',
  },
  {
    within: 'fillAndCommit',
    names: ["step.op.op === 'base' → true"],
    why: 'Only slower: of any other step the same record is written once more.',
  },
  {
    within: 'allowanceOf',
    names: [
      '(await store.quota?.isUsedUp(active))?.unwrapOr(false) ?? false → (await store.quota?.isUsedUp(active))?.unwrapOr(false)',
      '(await store.quota?.isUsedUp(active))?.unwrapOr(false) → (await store.quota?.isUsedUp(active)).unwrapOr(false)',
      'store.quota?.isUsedUp(active) → store.quota.isUsedUp(active)',
      'false → true #2',
    ],
    why: NO_QUOTA,
  },
  {
    within: 'produce',
    names: [
      'step.parent === undefined → true',
      'step.parent === undefined → false',
      'step.parent === undefined → step.parent !== undefined',
      "await catchThrown(engine, io.signal, async () => { const places = step.op.op === 'base' ? … → catchThrown(engine, io.signal, async () => { const places = step.op.op === 'base' ? engine…",
    ],
    why: 'Each build that waits for the step has leased its parent as well, and without one that waits nothing is made.',
  },
];

export const STEPS: Survivors = {
  'build/make-room.ts': ROOM,
  'build/produce.ts': PRODUCE,
  'build/restore-index.ts': RESTORE,
  'build/run-step.ts': RUN,
  'build/step-keys.ts': KEYS,
  'build/sweep-leftovers.ts': SWEEP,
};
