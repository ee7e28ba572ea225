import { isUtf8 } from 'node:buffer';
import { err, ok, type Result } from 'neverthrow';

/** What is wrong, and the offset of the byte where it is. */
export interface Fault {
  readonly message: string;
  readonly at: number;
}

/** `discard` is `#;`, which throws the next datum away. `next` is the offset of the first byte behind the token. */
export type Token =
  | { readonly type: 'open' | 'close' | 'discard' | 'end'; readonly at: number; readonly next: number }
  | { readonly type: 'atom'; readonly text: string; readonly at: number; readonly next: number };

/** A text to be read. */
export interface SexpText {
  readonly bytes: Buffer;
  /** Whether all of it is UTF-8, so that no part needs another look. */
  readonly isUtf8: boolean;
}

export function sexpText({ buffer, byteOffset, byteLength }: Uint8Array): SexpText {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  return { bytes, isUtf8: isUtf8(bytes) };
}

/**
 * Reads the token that starts at or behind the offset `from`, after blanks and comments.
 *
 * Accepts what Jane Street's parsexp accepts, which is what OBuilder reads its specs with
 * (https://github.com/janestreet/parsexp), but for atoms that are not UTF-8: those are refused.
 */
export function nextToken(text: SexpText, from: number): Result<Token, Fault> {
  const { bytes } = text;
  for (let at = from; ; ) {
    const byte = bytes[at];
    if (byte === undefined) return ok({ type: 'end', at, next: at });
    if (byte === SPACE || byte === LF) {
      at += 1;
      continue;
    }
    if (byte === OPEN) return ok({ type: 'open', at, next: at + 1 });
    if (byte === CLOSE) return ok({ type: 'close', at, next: at + 1 });
    if (byte === QUOTE) return quotedAtom(text, at);
    if (byte === HASH && bytes[at + 1] === SEMICOLON) return ok({ type: 'discard', at, next: at + 2 });
    const blank = skipBlank(bytes, at);
    if (blank.isErr()) return err(blank.error);
    if (blank.value === at) return plainAtom(text, at);
    at = blank.value;
  }
}

const [TAB, LF, FF, CR, SPACE] = [9, 10, 12, 13, 32];
const [QUOTE, HASH, OPEN, CLOSE, SEMICOLON, BACKSLASH, BAR] = [34, 35, 40, 41, 59, 92, 124];
const LETTER_X = 120;

/** @returns `at` itself if no blank and no comment starts there. */
function skipBlank(bytes: Uint8Array, at: number): Result<number, Fault> {
  switch (bytes[at]) {
    case TAB:
    case FF:
      return ok(at + 1);
    case CR:
      if (bytes[at + 1] === LF) return ok(at + 2);
      return fault(at, 'a carriage return must be followed by a line feed');
    case SEMICOLON:
      return ok(endOfLine(bytes, at));
    case HASH:
      return bytes[at + 1] === BAR ? skipBlockComment(bytes, at) : ok(at);
    default:
      return ok(at);
  }
}

function endOfLine(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== LF && bytes[at] !== CR) at += 1;
  return at;
}

/** Block comments nest, and what looks like a string in them must be one. */
function skipBlockComment(bytes: Uint8Array, start: number): Result<number, Fault> {
  let depth = 1;
  for (let at = start + 2; at < bytes.length; ) {
    const [byte, after] = [bytes[at], bytes[at + 1]];
    if (byte === QUOTE) {
      const string = scanString(bytes, at);
      if (string.isErr()) return err(string.error);
      at = string.value.next;
    } else if (byte === HASH && after === BAR) {
      depth += 1;
      at += 2;
    } else if (byte === BAR && after === HASH) {
      depth -= 1;
      at += 2;
      if (depth === 0) return ok(at);
    } else {
      at += 1;
    }
  }
  return fault(start, 'this block comment is never closed: "|#" is missing');
}

function plainAtom(text: SexpText, start: number): Result<Token, Fault> {
  const { bytes } = text;
  let at = start;
  for (; at < bytes.length && !endsAtom(bytes[at]); at += 1) {
    const [byte, after] = [bytes[at], bytes[at + 1]];
    if ((byte === HASH && after === BAR) || (byte === BAR && after === HASH)) {
      return fault(at, 'a text with "#|" or "|#" in it must be quoted');
    }
  }
  return decode(text, { from: start, to: at }, { at: start, next: at });
}

function endsAtom(byte: number | undefined): boolean {
  return (
    byte === SPACE ||
    byte === TAB ||
    byte === FF ||
    byte === LF ||
    byte === CR ||
    byte === OPEN ||
    byte === CLOSE ||
    byte === QUOTE ||
    byte === SEMICOLON
  );
}

function quotedAtom(text: SexpText, start: number): Result<Token, Fault> {
  const { bytes } = text;
  const plain = endOfPlainString(bytes, start + 1);
  if (bytes[plain] === QUOTE)
    return decode(text, { from: start + 1, to: plain }, { at: start, next: plain + 1 });
  return scanString(bytes, start).andThen(({ value, next }) => {
    const whole = sexpText(Uint8Array.from(value));
    return decode(whole, { from: 0, to: value.length }, { at: start, next });
  });
}

/** Where a string ends that has no escapes, or its first escape is. */
function endOfPlainString(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at += 1;
  return at;
}

function decode(
  { bytes, isUtf8: isValid }: SexpText,
  { from, to }: { readonly from: number; readonly to: number },
  { at, next }: { readonly at: number; readonly next: number },
): Result<Token, Fault> {
  if (!isValid && !isUtf8(bytes.subarray(from, to))) return fault(at, 'this text is not valid UTF-8');
  return ok({ type: 'atom', text: bytes.toString('utf8', from, to), at, next });
}

/** A piece of a string: the bytes it stands for, and where the next one starts. */
interface Piece {
  readonly value: readonly number[];
  readonly next: number;
}

function scanString(bytes: Uint8Array, start: number): Result<Piece, Fault> {
  const value: number[] = [];
  for (let at = start + 1; at < bytes.length; ) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) return ok({ value, next: at + 1 });
    if (byte !== BACKSLASH) {
      value.push(byte);
      at += 1;
      continue;
    }
    const letter = ESCAPES.get(bytes[at + 1] as number);
    if (letter !== undefined) {
      value.push(letter);
      at += 2;
      continue;
    }
    const piece = scanEscape(bytes, at);
    if (piece.isErr()) return err(piece.error);
    value.push(...piece.value.value);
    at = piece.value.next;
  }
  return fault(start, 'this string is never closed: its second quote is missing');
}

const ESCAPES: ReadonlyMap<number, number> = new Map(
  Object.entries({ n: LF, t: TAB, b: 8, r: CR, '\\': BACKSLASH, '"': QUOTE, "'": 39 }).map(
    ([letter, byte]) => [letter.charCodeAt(0), byte],
  ),
);

/** An escape that is not one of {@link ESCAPES}. */
function scanEscape(bytes: Uint8Array, at: number): Result<Piece, Fault> {
  const byte = bytes[at + 1];
  if (byte === undefined) return ok({ value: [], next: at + 1 });
  if (byte === LF) return ok({ value: [], next: skipBlanks(bytes, at + 2) });
  if (byte === CR && bytes[at + 2] === LF) return ok({ value: [], next: skipBlanks(bytes, at + 3) });
  if (byte === LETTER_X) return scanNumber(bytes, at, { from: at + 2, digits: 2, base: 16 });
  if (byte >= 48 && byte <= 57) return scanNumber(bytes, at, { from: at + 1, digits: 3, base: 10 });
  if (byte === CR) return ok({ value: [CR], next: at + 2 });
  return ok({ value: [BACKSLASH, byte], next: at + 2 });
}

function skipBlanks(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] === SPACE || bytes[at] === TAB) at += 1;
  return at;
}

function scanNumber(
  bytes: Uint8Array,
  at: number,
  { from, digits, base }: { from: number; digits: number; base: 10 | 16 },
): Result<Piece, Fault> {
  const text = String.fromCharCode(...bytes.subarray(from, from + digits));
  const pattern = base === 16 ? /^[0-9a-fA-F]{2}$/ : /^[0-9]{3}$/;
  if (!pattern.test(text)) {
    return fault(
      at,
      base === 16
        ? '"\\x" must be followed by two hex digits'
        : '"\\" and a digit must be a number of three digits',
    );
  }
  const value = Number.parseInt(text, base);
  if (value > 255) return fault(at, `"\\${text}" is more than one byte, 255`);
  return ok({ value: [value], next: from + digits });
}

function fault(at: number, message: string): Result<never, Fault> {
  return err({ message, at });
}
