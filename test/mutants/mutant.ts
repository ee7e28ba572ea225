import type { TestFunctions } from '@snapstep/core/conformance';
import type { Need } from '@snapstep/test-support/machine';

/** A backend that breaks one promise of its interface, in the way a real author would. */
export interface Mutant {
  /** Unique among the mutants of its kind: small letters and dashes. */
  readonly name: string;
  /** What it breaks, in the words of the interface. */
  readonly promise: string;
  /** What the test that kills it says after `broken promise: `. */
  readonly killedBy: RegExp;
  /** The suite, over the broken backend. Called once in a process of its own, with `TMPDIR` to itself. */
  readonly suite: (functions: TestFunctions) => void;
  /** Parts of the titles `suite: topic: test` to try first. The other tests run if none of these kills it. */
  readonly first?: readonly string[];
  /** What the machine must have, or the mutant is skipped. */
  readonly needs?: readonly Need[];
  /** How long one test may take; default 60. More than that is no kill: a suite bounds what it waits for. */
  readonly secondsPerTest?: number;
}

export type Verdict =
  | { readonly type: 'killed'; readonly test: string; readonly message: string }
  /** A test failed, but not for the promise: the mutant or the suite is wrong. */
  | { readonly type: 'failed-otherwise'; readonly test: string; readonly message: string }
  | { readonly type: 'survived'; readonly tests: number };

interface CollectedTest {
  readonly title: string;
  readonly run: () => Promise<void>;
}

const PREFIX = 'broken promise: ';

/** Runs the tests of the mutant's suite one by one, in this process, until one fails. */
export async function judge(mutant: Mutant): Promise<Verdict> {
  const tests = inOrder(mutant);
  for (const test of tests) {
    const message = await failureOf(test, mutant.secondsPerTest ?? 60);
    if (message === undefined) continue;
    const isKill = message.startsWith(PREFIX) && mutant.killedBy.test(message.slice(PREFIX.length));
    return { type: isKill ? 'killed' : 'failed-otherwise', test: test.title, message };
  }
  return { type: 'survived', tests: tests.length };
}

function inOrder(mutant: Mutant): readonly CollectedTest[] {
  const tests: CollectedTest[] = [];
  mutant.suite({ test: (title, run) => void tests.push({ title, run }) });
  const first = mutant.first ?? [];
  const isFirst = ({ title }: CollectedTest) => first.some((part) => title.includes(part));
  const unknown = first.find((part) => !tests.some(({ title }) => title.includes(part)));
  if (unknown !== undefined) throw new Error(`${mutant.name}: no test has "${unknown}" in its title`);
  return [...tests.filter(isFirst), ...tests.filter((test) => !isFirst(test))];
}

/** What a failing test says; undefined if it passes. */
async function failureOf(test: CollectedTest, seconds: number): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`it did not end within ${seconds} seconds`), seconds * 1000);
  });
  const ran = test.run().then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? messageOf(error) : String(error)),
  );
  try {
    return await Promise.race([ran, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What went wrong first: cleaning up after a failure may fail as well. */
function messageOf(error: Error): string {
  if (error.name === 'SuppressedError' && 'suppressed' in error && error.suppressed instanceof Error) {
    return messageOf(error.suppressed);
  }
  return error.name === 'AssertionError' ? error.message : (error.stack ?? error.message);
}
