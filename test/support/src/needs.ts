import { describe } from 'vitest';
import { lacking, type Need } from './machine.ts';

/**
 * `describe`, or, where the machine lacks something, a skipped `describe` whose title says what.
 * Where nothing may be skipped (`CI` is set and we are root), a lack is an error.
 */
export function needs(...what: readonly Need[]): (title: string, body: () => void) => void {
  const missing = lacking(what);
  if (missing.length === 0) return (title, body) => void describe(title, body);
  const reason = `needs ${missing.join(', ')}`;
  if (process.env.CI && process.getuid?.() === 0) throw new Error(`this machine lacks something: ${reason}`);
  return (title, body) => void describe.skip(`${title} (${reason})`, body);
}
