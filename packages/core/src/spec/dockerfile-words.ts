/** The character that escapes the next one, as the Dockerfile's `# escape=` directive sets it. */
export type EscapeChar = '\\' | '`';

/**
 * A word of an exec form in which Docker replaces variables, as it does in that of `COPY`.
 * Docker skips a byte order mark at the start of a word.
 */
export function escapeWord(text: string, escapeChar: EscapeChar): string {
  return text.replace(/["'$\\`]|^\ufeff/g, (char) =>
    isSpecial(char, escapeChar) || char === "'" || char === '\ufeff' ? escapeChar + char : char,
  );
}

/** The whole argument of an instruction in which Docker replaces variables, such as `WORKDIR` or `FROM`. It never ends with the escape character. */
export function quoteWord(text: string, escapeChar: EscapeChar): string {
  if (/^[\w./:@%+,-]+$/.test(text) && !text.startsWith('-')) return text;
  return `"${escapeQuoted(text, escapeChar)}"`;
}

/** The inside of double quotes. */
export function escapeQuoted(text: string, escapeChar: EscapeChar): string {
  return text.replace(/["$\\`]/g, (char) => (isSpecial(char, escapeChar) ? escapeChar + char : char));
}

function isSpecial(char: string, escapeChar: EscapeChar): boolean {
  return char === '"' || char === '$' || char === escapeChar;
}

/** An exec form. `<<` is broken up in it, because BuildKit looks for here-documents before it reads the JSON. */
export function jsonForm(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word).replaceAll('<<', '<\\u003c')).join(', ')}]`;
}

/**
 * Whether a text means itself in a flag such as `--mount=...,target=TEXT`. There it is unquoted, split at commas, and
 * its variables are replaced, one after the other; and BuildKit reads flags by bytes, which breaks other letters.
 */
export function isPlainInFlag(text: string): boolean {
  return /^[A-Za-z0-9_./:@%+=~^-]+$/.test(text);
}

/** A path as one of Go's file name patterns that matches nothing else. Docker takes the sources of `COPY` as such. */
export function literalPattern(path: string): string {
  return path.replace(/[*?[\\]/g, (char) => (char === '\\' ? '\\\\' : `[${char}]`));
}
