import { err, ok, type Result } from 'neverthrow';
import { type Characters, parseSet } from './glob-set.ts';

/**
 * How a pattern is read. They differ in `**`: for git it stands for directories only as a whole component, for Docker
 * everywhere; and in a set of characters, where git takes `!` for what Docker takes `^` for.
 */
export type GlobDialect = 'git' | 'docker';

/** What one place of a pattern takes, before it goes on to the next place. */
type Part =
  | { readonly type: 'character'; readonly character: string }
  | { readonly type: 'set'; readonly has: Characters }
  /** Any number of characters but slashes. */
  | { readonly type: 'star' }
  /** Nothing, or any number of whole directories with the slash behind them. */
  | { readonly type: 'directories' }
  /** Any number of any characters. */
  | { readonly type: 'rest' };

/**
 * A pattern for paths. Matching takes time in proportion to the pattern and the path, whatever they are: the places
 * that a match can have come to are followed all at once. A regular expression would try them one after the other, and
 * some lines with four stars in them would keep it busy for hours.
 */
export class Glob {
  readonly #parts: readonly Part[];
  /** What it matches and nothing else, if it has no wildcard. */
  readonly #literal: string | undefined;

  private constructor(parts: readonly Part[]) {
    this.#parts = parts;
    const isLiteral = parts.every(({ type }) => type === 'character');
    this.#literal = isLiteral
      ? parts.map((part) => 'character' in part && part.character).join('')
      : undefined;
  }

  /** @returns What is wrong with the pattern, as the end of a sentence that begins with it. */
  static parse(text: string, dialect: GlobDialect): Result<Glob, string> {
    const characters = [...text];
    const parts: Part[] = [];
    for (let at = 0; at < characters.length; ) {
      const read = readPart(characters, { at, dialect });
      if (read.isErr()) return err(read.error);
      const [first] = read.value.parts;
      // Twice is once, and so there are never many places in a row that can take nothing.
      if (first?.type !== 'directories' || parts.at(-1)?.type !== 'directories')
        parts.push(...read.value.parts);
      at = read.value.end;
    }
    return ok(new Glob(parts));
  }

  get isLiteral(): boolean {
    return this.#literal !== undefined;
  }

  matches(path: string): boolean {
    if (this.#literal !== undefined) return path === this.#literal;
    return this.#run(path).atEnd;
  }

  /** Whether it matches the path or a directory on the way to it. */
  matchesPrefix(path: string): boolean {
    const run = this.#run(path);
    return run.atEnd || run.atSlash;
  }

  /** Whether it matches anything that may be below a directory. */
  canMatchBelow(directory: string): boolean {
    return this.#run(`${directory}/`).isAlive;
  }

  #run(path: string): { readonly atEnd: boolean; readonly atSlash: boolean; readonly isAlive: boolean } {
    const end = this.#parts.length;
    let here = new Places(this.#parts);
    let next = new Places(this.#parts);
    let atSlash = false;
    here.enter(0);
    for (const character of path) {
      if (character === '/' && here.has(end)) atSlash = true;
      for (const place of here.list) this.#step(place, character, next);
      [here, next] = [next, here];
      if (here.list.length === 0) break;
      next.clear();
    }
    return { atEnd: here.has(end), atSlash, isAlive: here.list.length > 0 };
  }

  #step(place: number, character: string, next: Places): void {
    const part = this.#parts[place];
    switch (part?.type) {
      case 'character':
        if (character === part.character) next.enter(place + 1);
        break;
      case 'set':
        if (character !== '/' && part.has(character)) next.enter(place + 1);
        break;
      case 'star':
        if (character !== '/') next.enter(place);
        break;
      case 'directories':
        next.stay(place);
        if (character === '/') next.enter(place + 1);
        break;
      case 'rest':
        next.enter(place);
        break;
    }
  }
}

/** The places of a pattern that matches can have come to, each once. */
class Places {
  readonly list: number[] = [];
  readonly #parts: readonly Part[];
  readonly #isIn: Uint8Array;

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
    this.#isIn = new Uint8Array(parts.length + 1);
  }

  has(place: number): boolean {
    return this.#isIn[place] === 1;
  }

  stay(place: number): void {
    if (this.#isIn[place] === 1) return;
    this.#isIn[place] = 1;
    this.list.push(place);
  }

  /** And the next place too, if this one can take nothing. */
  enter(place: number): void {
    this.stay(place);
    const type = this.#parts[place]?.type;
    if (type === 'star' || type === 'directories' || type === 'rest') this.enter(place + 1);
  }

  clear(): void {
    for (const place of this.list) this.#isIn[place] = 0;
    this.list.length = 0;
  }
}

interface Read {
  readonly parts: readonly Part[];
  readonly end: number;
}

interface At {
  readonly at: number;
  readonly dialect: GlobDialect;
}

function readPart(pattern: readonly string[], { at, dialect }: At): Result<Read, string> {
  const character = pattern[at] as string;
  switch (character) {
    case '*':
      return ok(readStars(pattern, { at, dialect }));
    case '?':
      return ok({ parts: [{ type: 'set', has: () => true }], end: at + 1 });
    case '[':
      return parseSet(pattern, { at, negations: dialect === 'git' ? '!^' : '^' }).map(({ has, end }) => ({
        parts: [{ type: 'set', has }],
        end,
      }));
    case '\\': {
      const escaped = pattern[at + 1];
      if (escaped === undefined)
        return err('ends with a backslash, which takes the meaning from what follows it');
      return ok({ parts: [{ type: 'character', character: escaped }], end: at + 2 });
    }
    default:
      return ok({ parts: [{ type: 'character', character }], end: at + 1 });
  }
}

function readStars(pattern: readonly string[], { at, dialect }: At): Read {
  let end = at + 1;
  // Docker takes two at a time, so that more of them do not matter here.
  while (pattern[end] === '*' && (dialect === 'git' || end < at + 2)) end += 1;
  if (end - at === 1) return { parts: [{ type: 'star' }], end };
  return dialect === 'git' ? gitStars(pattern, { at, end }) : dockerStars(pattern, { at, end });
}

interface Stars {
  readonly at: number;
  readonly end: number;
}

/** https://git-scm.com/docs/gitignore#_pattern_format */
function gitStars(pattern: readonly string[], { at, end }: Stars): Read {
  const isStart = at === 0 || pattern[at - 1] === '/';
  if (isStart && pattern[end] === '/') return { parts: [{ type: 'directories' }], end: end + 1 };
  if (isStart && end === pattern.length) {
    return { parts: [{ type: 'set', has: () => true }, { type: 'rest' }], end };
  }
  return { parts: [{ type: 'star' }], end };
}

/** https://github.com/moby/patternmatcher/blob/main/patternmatcher.go (`compile`): the slash behind it counts to it. */
function dockerStars(pattern: readonly string[], { at, end }: Stars): Read {
  const two = Math.min(at + 2, end);
  const after = pattern[two] === '/' ? two + 1 : two;
  if (after === pattern.length) return { parts: [{ type: 'rest' }], end: after };
  return { parts: [{ type: 'directories' }], end: after };
}
