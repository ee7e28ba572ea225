/**
 * Writes one text so that the reader gives it back: bare where that is possible, else in quotes.
 *
 * What people can read stays as it is. Control characters, and those that hide or turn round the text beside
 * them (https://trojansource.codes), are written as the decimal numbers of their UTF-8 bytes.
 */
export function printAtom(text: string): string {
  return isBare(text) ? text : `"${escapeText(text)}"`;
}

/**
 * Like {@link printAtom}, but a text of several lines is written on several lines.
 *
 * @param column - How many characters stand before it on its line; its other lines are aligned to the first.
 */
export function printAtomLines(text: string, column: number): string {
  // The reader skips blanks at the start of a continued line, so they stand at the end of the line before.
  const lines = text.split(/(?=[^ ])(?<=\n *)/u);
  if (lines.length === 1) return printAtom(text);
  return `"${lines.map(escapeText).join(`\\\n${' '.repeat(column + 1)}`)}"`;
}

/** Escaped in a quoted text. */
const special = /[\\"\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/gu;

function isBare(text: string): boolean {
  return /^[^\s()";\\]+$/u.test(text) && !/#\||\|#/.test(text) && text.search(special) < 0;
}

const letters: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '\b': '\\b',
};

function escapeText(text: string): string {
  return text.replace(special, (char) => letters[char] ?? escapeBytes(char));
}

function escapeBytes(char: string): string {
  return [...new TextEncoder().encode(char)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('');
}
