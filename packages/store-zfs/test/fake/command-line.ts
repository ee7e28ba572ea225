import { type Answer, misused } from './answer.ts';

export interface CommandLine {
  /** Without their dashes, such as `H` and `p` of `-Hp`. */
  readonly flags: ReadonlySet<string>;
  /** The values of options that have one, such as `-o`. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

export interface Syntax {
  readonly flags?: string;
  readonly valued?: string;
  /** Options that our store always gives, without which people's words are printed. */
  readonly needed?: string;
  readonly operands: number;
}

/** Takes no option and no number of operands but those of the syntax; `--` is none of them. */
export function parse(args: readonly string[], syntax: Syntax): CommandLine | Answer {
  const { flags: known = '', valued = '', needed = '', operands: count } = syntax;
  const flags = new Set<string>();
  const values = new Map<string, string[]>();
  const rest = [...args];
  while (rest[0]?.startsWith('-')) {
    const [, ...letters] = rest.shift() ?? '';
    for (const letter of letters) {
      if (valued.includes(letter) && letters.at(-1) === letter) {
        const value = rest.shift();
        if (value === undefined) return misused(`missing argument for '${letter}' option`);
        values.set(letter, [...(values.get(letter) ?? []), value]);
      } else if (known.includes(letter)) flags.add(letter);
      else return misused(`invalid option '${letter}'`);
    }
  }
  const lacking = [...needed].find((letter) => !flags.has(letter) && !values.has(letter));
  if (lacking !== undefined) return misused(`the fake answers only with -${lacking}`);
  if (rest.length < count) return misused('missing argument');
  if (rest.length > count) return misused('too many arguments');
  return { flags, values, operands: rest };
}

/** `NAME=VALUE` of each `-o`. */
export function assignments(words: readonly string[] = []): Readonly<Record<string, string>> {
  return Object.fromEntries(
    words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  );
}
