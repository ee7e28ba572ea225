import type { RunRequest } from '../backend/sandbox.ts';
import { commandText, describeExpected, type ExpectedCommand, matches } from './scripted-command.ts';

/** One command, or some that come in any order, as those of stages that run at the same time. */
export type Expectation = ExpectedCommand | readonly ExpectedCommand[];

/** What is to be run, in this order. */
export class CommandQueue {
  readonly #groups: ExpectedCommand[][];
  readonly #unexpected: string[] = [];

  constructor(expectations: readonly Expectation[]) {
    this.#groups = expectations.map((one) => [one].flat()).filter((group) => group.length > 0);
  }

  /** @throws Error that says what was expected, where this is something else. */
  take(request: RunRequest): ExpectedCommand {
    const group = this.#groups[0] ?? [];
    const index = group.findIndex((expected) => matches(expected, request));
    const [expected] = index < 0 ? [] : group.splice(index, 1);
    if (group.length === 0) this.#groups.shift();
    if (expected) return expected;
    const instead = group.map(describeExpected).join(' or ') || 'no more commands';
    const message = `the command "${commandText(request)}" was not expected, but ${instead}`;
    this.#unexpected.push(message);
    throw new Error(message);
  }

  /** What was run and not expected, and what was expected and has not run; empty if all went as it was written. */
  complaints(): readonly string[] {
    const missing = this.#groups.flat().map((expected) => `${describeExpected(expected)} was never run`);
    return [...this.#unexpected, ...missing];
  }
}
