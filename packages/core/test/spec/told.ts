import { expectErr } from '@snapstep/test-support';
import { parseSpec } from '../../src/spec/index.ts';

/** A text, and the `line:column message` that reading it gives. */
export type Case = readonly [text: string, error: string];

/** `line:column message`, as reading a text fails. */
export function told(text: string): string {
  const { line, column, message } = expectErr(parseSpec(text));
  return `${line}:${column} ${message}`;
}
