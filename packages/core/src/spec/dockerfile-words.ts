/** The character that escapes the next one, as the Dockerfile's `# escape=` directive sets it. */
export type EscapeChar = '\\' | '`';

/** A word without blanks of an instruction in which Docker replaces variables, such as `FROM`. */
export function escapeWord(text: string, escape: EscapeChar): string {
  return text.replace(/["'$\\`]/g, (char) =>
    isSpecial(char, escape) || char === "'" ? escape + char : char,
  );
}

/** The whole argument of an instruction in which Docker replaces variables, such as `WORKDIR`. */
export function quoteWord(text: string, escape: EscapeChar): string {
  if (/^[\w./:@%+,-]+$/.test(text) && !text.startsWith('-')) return text;
  return `"${text.replace(/["$\\`]/g, (char) => (isSpecial(char, escape) ? escape + char : char))}"`;
}

function isSpecial(char: string, escape: EscapeChar): boolean {
  return char === '"' || char === '$' || char === escape;
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
