import { err, ok, type Result } from 'neverthrow';

/** Whether a character is among some. */
export type Characters = (character: string) => boolean;

/** The names that stand in `[:NAME:]`; of ASCII, as in the C locale that git matches in. */
const CLASSES: Readonly<Record<string, RegExp>> = {
  alnum: /[A-Za-z0-9]/,
  alpha: /[A-Za-z]/,
  blank: /[ \t]/,
  cntrl: /\p{Cc}/u,
  digit: /[0-9]/,
  graph: /[\x21-\x7e]/,
  lower: /[a-z]/,
  print: /[\x20-\x7e]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[ \t\n\r\f\v]/,
  upper: /[A-Z]/,
  xdigit: /[A-Fa-f0-9]/,
};

interface Piece {
  readonly has: Characters;
  readonly end: number;
}

/**
 * Reads a set such as `[a-z_]` or `[!0-9]`.
 *
 * @param negations - The characters that mean "all but" at its start.
 */
export function parseSet(
  pattern: readonly string[],
  { at, negations }: { readonly at: number; readonly negations: string },
): Result<Piece, string> {
  const isNegated = negations.includes(pattern[at + 1] ?? ' ');
  const start = at + (isNegated ? 2 : 1);
  const pieces: Characters[] = [];
  // Right at the start, a bracket is one of the characters.
  for (let next = start; next === start || pattern[next] !== ']'; ) {
    const piece = parsePiece(pattern, next);
    if (piece.isErr()) return err(piece.error);
    pieces.push(piece.value.has);
    next = piece.value.end;
    if (pattern[next] === ']') {
      const has: Characters = (character) => pieces.some((one) => one(character)) !== isNegated;
      return ok({ has, end: next + 1 });
    }
  }
  return err(UNCLOSED);
}

const UNCLOSED = 'has a "[" without its "]"; write "\\[" for the character';

function parsePiece(pattern: readonly string[], at: number): Result<Piece, string> {
  if (pattern[at] === '[' && pattern[at + 1] === ':') return parseClass(pattern, at);
  const low = parseCharacter(pattern, at);
  if (low.isErr()) return err(low.error);
  const { character: first, end } = low.value;
  if (pattern[end] !== '-' || pattern[end + 1] === ']') return ok({ has: (one) => one === first, end });
  const high = parseCharacter(pattern, end + 1);
  if (high.isErr()) return err(high.error);
  const [from, to] = [codeOf(first), codeOf(high.value.character)];
  if (from > to) return err(`has the range "${first}-${high.value.character}", which is empty`);
  return ok({ has: (one) => codeOf(one) >= from && codeOf(one) <= to, end: high.value.end });
}

function parseClass(pattern: readonly string[], at: number): Result<Piece, string> {
  const [, name, colon] = /^\[:([^\]]*?)(:?)\]/.exec(pattern.slice(at, at + 20).join('')) ?? [];
  if (name === undefined) return err(UNCLOSED);
  const of = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
  if (colon === '' || of === undefined) {
    return err(
      `has "[:${name}", which is no class of characters; there are ${Object.keys(CLASSES).join(', ')}`,
    );
  }
  return ok({ has: (one) => of.test(one), end: at + name.length + 4 });
}

function parseCharacter(
  pattern: readonly string[],
  at: number,
): Result<{ readonly character: string; readonly end: number }, string> {
  const escaped = pattern[at] === '\\';
  const character = pattern[escaped ? at + 1 : at];
  if (character === undefined) return err(UNCLOSED);
  return ok({ character, end: at + (escaped ? 2 : 1) });
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}
