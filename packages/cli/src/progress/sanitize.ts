import { stripVTControlCharacters } from 'node:util';

/**
 * One line of a step's output as it may be shown: without colours, cursor movements and other control
 * characters, and of a line that was overwritten with carriage returns only what was written last.
 * Tabs become spaces.
 */
export function sanitizeLine(line: string): string {
  const parts = stripVTControlCharacters(line).split('\r');
  const last = parts.findLast((part) => part !== '') ?? '';
  return last.replaceAll('\t', '    ').replace(CONTROL, '');
}

/** The control characters of https://www.unicode.org/charts/PDF/U0080.pdf, line separators and direction marks. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
