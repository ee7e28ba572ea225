import type { TestFunctions } from '@snapstep/core/conformance';
import type { Report } from './beside-zfs-fuse.ts';

/** Registers tests, and runs each when the process that started this one asks for it. Ends with that process. */
export function runTests(register: (functions: TestFunctions) => void): void {
  const bodies = new Map<string, () => Promise<void>>();
  register({ test: (title, body) => void bodies.set(title, body) });
  process.on('message', (title: string) => void report(title, bodies.get(title)));
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}

async function report(title: string, body: (() => Promise<void>) | undefined): Promise<void> {
  const answer = (report: Report): void => void process.send?.(report);
  try {
    if (body === undefined) throw new Error(`there is no test "${title}"`);
    await body();
    answer({ title });
  } catch (error) {
    answer({ title, failure: error instanceof Error ? (error.stack ?? error.message) : `${error}` });
  }
}
