import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { err, ok, parseSpec, type Result, type Spec, type SpecError } from '@snapstep/core';
import stringWidth from 'string-width';
import { type Failure, usageFailure } from './failure.ts';
import { sanitizeLine } from './progress/sanitize.ts';

/** A spec and the file it came from, so that what is wrong with it can be shown there. */
export interface SpecSource {
  /** As the user named it. */
  readonly file: string;
  readonly text: string;
  readonly spec: Spec;
}

/** Reads and parses a spec; the file `-` is standard input. */
export async function readSpec(file: string): Promise<Result<SpecSource, Failure>> {
  let source: string;
  try {
    source = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    return err(usageFailure(`cannot read the spec: ${error instanceof Error ? error.message : error}`));
  }
  const spec = parseSpec(source);
  if (spec.isErr()) return err(specFailure(spec.error, { file, text: source }));
  return ok({ file, text: source, spec: spec.value });
}

/** `file:line:column: message`, then the line it happened on, and a caret below the column. */
export function specFailure(error: SpecError, source: Pick<SpecSource, 'file' | 'text'>): Failure {
  const { line, column = 1, message } = error;
  const name = source.file === '-' ? '<stdin>' : source.file;
  if (line === undefined) return usageFailure(`${name}: ${message}`);
  const content = source.text.split('\n')[line - 1] ?? '';
  const lines = [`${name}:${line}:${column}: ${message}`, ...pointAt(content, column)];
  return { ...usageFailure(lines.join('\n')), isLocated: true };
}

const CONTEXT = 60;

/** The line and a caret. Of a long line, only what is around the column. */
function pointAt(line: string, column: number): string[] {
  if (line.trim() === '') return [];
  const before = Buffer.from(line)
    .subarray(0, column - 1)
    .toString();
  const after = line.slice(before.length);
  const start = before.length > CONTEXT ? `...${before.slice(-CONTEXT)}` : before;
  const end = after.length > CONTEXT ? `${after.slice(0, CONTEXT)}...` : after;
  return [
    `  ${sanitizeLine(start)}${sanitizeLine(end)}`,
    `  ${' '.repeat(stringWidth(sanitizeLine(start)))}^`,
  ];
}
