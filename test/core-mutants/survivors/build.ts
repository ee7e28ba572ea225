import type { Survivors } from './survivor.ts';

const QUEUED = 'The queue keeps the order of events, and the event that ends the step is waited for.';

export const BUILD: Survivors = {
  'build/build-run.ts': [
    {
      within: 'runBuild',
      names: [
        "await events.emit({ type: 'note', text: `${why}; building it again` }) → events.emit({ type: 'note', text: `${why}; building it again` })",
      ],
      why: 'The queue keeps the order of events, and the next try waits for its own events, which come after this one.',
    },
    {
      within: 'BuildRun.constructor',
      names: ['request.ignoreFiles ?? [] → request.ignoreFiles'],
      why: 'A walk takes an undefined list of ignore files for an empty one.',
    },
    {
      within: 'BuildRun.constructor',
      names: ['request.secrets ?? new Map() → request.secrets'],
      why: 'Only steps that use a secret read it, and checkRequest refuses their specs where no secrets are given.',
    },
    {
      within: 'BuildRun.result',
      names: ['end.isErr() → false'],
      why: 'A stage that fails has set #failure, unless the signal was aborted: both are returned before.',
    },
    {
      within: 'BuildRun.#buildStage',
      names: ['keyed.value.at(-1)?.key → keyed.value.at(-1).key', 'end === undefined → false'],
      why: 'A stage has at least its base, and after the loop its last step is saved, so it has a key.',
    },
    {
      within: 'BuildRun.#lookAtFiles',
      names: [
        "draft?.source === undefined || draft.op.op !== 'copy' → false",
        "draft?.source === undefined || draft.op.op !== 'copy' → draft?.source === undefined && draft.op.op !== 'copy'",
        "draft?.source === undefined || draft.op.op !== 'copy' → draft?.source === undefined",
        "draft?.source === undefined || draft.op.op !== 'copy' → draft.op.op !== 'copy'",
        'draft?.source → draft.source',
      ],
      why: 'Only a copy from a stage has no inputs when its turn comes: it throws for nothing but a bug.',
    },
    {
      within: 'BuildRun.#obtain',
      names: ['lease.isErr() && !again → !again'],
      why: 'Only for the types: of what succeeds there is no error, so none is remembered.',
    },
    {
      within: 'BuildRun.#obtainable',
      names: ['source.isErr() → false'],
      why: 'A copy from a stage has inputs only after #lookAtFiles has seen its stage succeed.',
    },
  ],
  'build/step-reporter.ts': [
    {
      within: 'StepReporter.cached',
      names: [
        "await this.#events.emit({ type: 'step-started', ...place, source: 'cache' }) → this.#events.emit({ type: 'step-started', ...place, source: 'cache' })",
      ],
      why: QUEUED,
    },
    {
      within: 'StepReporter.#pass',
      names: ['await this.#unreadable(key, error) → this.#unreadable(key, error)'],
      why: QUEUED,
    },
    {
      within: 'StepReporter.#find',
      names: ['await this.#unreadable(key, found.error) → this.#unreadable(key, found.error)'],
      why: QUEUED,
    },
    {
      within: 'StepReporter.#unreadable',
      names: [
        "await this.#events.emit({ type: 'note', text: `the log of ${key} cannot be read: ${message… → this.#events.emit({ type: 'note', text: `the log of ${key} cannot be read: ${message}` })",
      ],
      why: QUEUED,
    },
  ],
};
