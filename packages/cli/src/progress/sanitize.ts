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

/** The same of a name or a sentence, of which nothing is overwritten: all of it but control characters stays. */
export function sanitizeName(name: string): string {
  return sanitizeLine(name.replaceAll('\r', ''));
}

/** Lines for people, each of them as {@link sanitizeName} has it. */
export function sanitizeText(text: string): string {
  return text.split('\n').map(sanitizeName).join('\n');
}

/** A value as JSON that shows nothing a terminal would obey: JSON itself escapes only a part of that. */
export function toJson(
  value: unknown,
  {
    indent,
    replacer,
  }: { readonly indent?: number; readonly replacer?: (key: string, value: unknown) => unknown } = {},
): string {
  const json = JSON.stringify(value, replacer, indent);
  // Outside of its texts, the only control characters are the ends of lines.
  return json.replace(CONTROL, (char) => (char === '\n' ? char : escaped(char)));
}

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The control characters of https://www.unicode.org/charts/PDF/U0080.pdf, line separators and direction marks. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
