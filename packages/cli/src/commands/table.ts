import type { StepKey } from '@snapstep/core';
import { Option } from 'commander';
import stringWidth from 'string-width';
import { sanitizeName } from '../progress/sanitize.ts';

/** Rows with their columns below each other; each row ends with a newline. */
export function table(texts: readonly (readonly string[])[]): string {
  const rows = texts.map((row) => row.map(sanitizeName));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, stringWidth(cell));
    }
  }
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, at) => pad(cell, widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Enough digits of a key to name it, as the commands accept it. */
export function shortKey(key: StepKey): string {
  return key.slice(0, 12);
}

export function jsonOption(): Option {
  return new Option('--json', 'one JSON object per line, with whole keys');
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(width - stringWidth(cell));
}
