import { err, ok, type Result } from 'neverthrow';
import { type Fault, nextToken, sexpText, type Token } from './sexp-lexer.ts';
import type { SpecSize } from './spec-limits.ts';

/** A datum of an S-expression; `at` is the offset of its first byte. */
export type Sexp = Atom | List;

export interface Atom {
  readonly type: 'atom';
  readonly text: string;
  readonly at: number;
}

export interface List {
  readonly type: 'list';
  readonly items: readonly Sexp[];
  readonly at: number;
}

/** How deep lists may nest. A spec needs two lists for a stage and six inside a `run`. */
const maxListDepth = 200;

/**
 * Reads the one datum of `bytes`. Never throws, and needs no more stack for a deeper text.
 *
 * @param size - Counts atoms and lists, also those that are discarded.
 */
export function readSexp(bytes: Uint8Array, size: SpecSize): Result<Sexp, Fault> {
  if (startsWithBom(bytes)) {
    return err({ message: 'the text starts with a byte order mark; save it as UTF-8 without one', at: 0 });
  }
  const text = sexpText(bytes);
  const open: Frame[] = [{ at: 0, items: [], discards: [] }];
  for (let from = 0; ; ) {
    const token = nextToken(text, from);
    if (token.isErr()) return err(token.error);
    const fault = countToken(token.value, size) ?? take(open, token.value);
    if (fault) return err(fault);
    if (token.value.type === 'end') return onlyDatum(open, token.value.at);
    from = token.value.next;
  }
}

function countToken({ type, at }: Token, size: SpecSize): Fault | undefined {
  const message = type === 'atom' || type === 'open' ? size.add(1, 'texts') : undefined;
  return message === undefined ? undefined : { message, at };
}

/** A list that is still open. The outermost one is the text itself. */
interface Frame {
  readonly at: number;
  readonly items: Sexp[];
  /** Where each `#;` is that has yet to meet its datum. */
  readonly discards: number[];
}

function take(open: Frame[], token: Token): Fault | undefined {
  const frame = open.at(-1) as Frame;
  switch (token.type) {
    case 'discard':
      frame.discards.push(token.at);
      return undefined;
    case 'open':
      open.push({ at: token.at, items: [], discards: [] });
      if (open.length - 1 <= maxListDepth) return undefined;
      return { message: `lists nest more than ${maxListDepth} deep here`, at: token.at };
    case 'close':
      if (open.length === 1) return { message: 'this ")" closes nothing', at: token.at };
      open.pop();
      return unmetDiscard(frame) ?? add(open, { type: 'list', items: frame.items, at: frame.at });
    case 'atom':
      return add(open, { type: 'atom', text: token.text, at: token.at });
    case 'end':
      if (open.length > 1) return { message: 'this "(" is never closed', at: frame.at };
      return unmetDiscard(frame);
  }
}

function add(open: readonly Frame[], datum: Sexp): Fault | undefined {
  const frame = open.at(-1) as Frame;
  if (frame.discards.pop() !== undefined) return undefined;
  frame.items.push(datum);
  if (open.length > 1 || frame.items.length === 1) return undefined;
  return { message: 'only comments may follow the end of the spec', at: datum.at };
}

function unmetDiscard(frame: Frame): Fault | undefined {
  const at = frame.discards.at(-1);
  return at === undefined ? undefined : { message: 'nothing follows "#;" that it could discard', at };
}

function onlyDatum(open: readonly Frame[], end: number): Result<Sexp, Fault> {
  const datum = open[0]?.items[0];
  return datum ? ok(datum) : err({ message: 'there is no spec in this text', at: end });
}

function startsWithBom(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}
