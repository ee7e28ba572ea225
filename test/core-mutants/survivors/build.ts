import type { Survivors } from './survivor.ts';

const QUEUED = 'The queue keeps the order of events, and the event that ends the step is waited for.';

export const BUILD: Survivors = {
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
