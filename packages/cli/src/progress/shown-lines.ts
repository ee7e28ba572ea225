import { lineSplitter } from './line-splitter.ts';
import { sanitizeLine } from './sanitize.ts';

/** Takes what a command prints, and gives it on as lines that may be shown. */
export interface ShownLines {
  write(chunk: Uint8Array | string): Promise<void>;
  /** Gives on what came after the last newline. */
  end(): Promise<void>;
}

export function shownLines(show: (text: string) => Promise<void>): ShownLines {
  const splitter = lineSplitter();
  const pass = async (lines: readonly string[]): Promise<void> => {
    if (lines.length > 0) await show(lines.map((line) => `${sanitizeLine(line)}\n`).join(''));
  };
  return {
    write: (chunk) => pass(splitter.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)),
    end: () => pass(splitter.rest() === '' ? [] : [splitter.rest()]),
  };
}
