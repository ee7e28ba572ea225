import type { Thing, World } from './world.ts';

/** A `copy`, with all that the ops before it said. Texts are UTF-8, as in a spec. */
export interface CopyCase {
  /** What each `workdir` op says. */
  readonly workdirs: readonly string[];
  readonly src: readonly string[];
  readonly dst: string;
  readonly exclude: readonly string[];
  readonly owner: { readonly uid: number; readonly gid: number };
}

type Names = readonly string[];

/**
 * What a `copy` has to do, in the simplest way: docs/spec.md as a function of two trees. It shares no code with the
 * copier. @returns The world afterwards; undefined where the copy must be refused.
 */
export function copyInModel(before: World, source: World, copy: CopyCase): World | undefined {
  const world = new Map(before);
  const into = [...copy.workdirs, copy.dst].reduce(enter, []);
  for (const src of copy.src) {
    const start = bytes(src).split('/').filter(isName);
    const things = thingsBelow(source, start, copy.exclude);
    if (things === undefined) return undefined;
    const top = copy.dst.endsWith('/') ? [...into, ...start.slice(-1)] : into;
    for (const { names, thing } of things) {
      if (!put(world, [...top, ...names], thing, copy.owner)) return undefined;
    }
  }
  return world;
}

/** `..` takes away a name as it is written: no link counts here. */
function enter(directory: Names, path: string): Names {
  const names = path.startsWith('/') ? [] : [...directory];
  for (const name of bytes(path).split('/')) {
    if (name === '..') names.pop();
    else if (isName(name)) names.push(name);
  }
  return names;
}

function isName(name: string): boolean {
  return name !== '' && name !== '.';
}

function bytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}

interface Found {
  /** Below the source. */
  readonly names: Names;
  readonly thing: Thing;
}

function thingsBelow(source: World, start: Names, exclude: readonly string[]): Found[] | undefined {
  // No link on the way is followed, and what is on the way is a directory.
  const onTheWay = start.map((_, i) => source.get(start.slice(0, i).join('/'))?.kind);
  const first = source.get(start.join('/'));
  if (start.includes('..') || first === undefined || onTheWay.some((kind) => kind !== 'directory'))
    return undefined;
  const found: Found[] = [{ names: [], thing: first }];
  for (const [path, thing] of [...source].sort(byNames)) {
    const names = path.split('/').slice(start.length);
    const isBelow = path !== '' && start.every((name, i) => path.split('/')[i] === name) && names.length > 0;
    if (isBelow && !isExcluded(names, thing.kind === 'directory', exclude)) found.push({ names, thing });
  }
  return found.some(({ thing }) => thing.kind === 'pipe') ? undefined : found;
}

/** A directory before what is in it, and names by their bytes. */
function byNames([a]: [string, Thing], [b]: [string, Thing]): number {
  const [one, other] = [a.split('/'), b.split('/')];
  const i = one.findIndex((name, i) => name !== other[i]);
  if (i < 0) return one.length - other.length;
  const theirs = other[i];
  return theirs === undefined || (one[i] as string) > theirs ? 1 : -1;
}

/** With all that is in a directory that is left out. */
function isExcluded(names: Names, isDirectory: boolean, exclude: readonly string[]): boolean {
  return names.some((_, i) => {
    const path = names.slice(0, i + 1).join('/');
    const isInside = i < names.length - 1;
    const last = exclude.findLast((pattern) => matches(pattern, path, isInside || isDirectory));
    return last !== undefined && !last.startsWith('!');
  });
}

/** A pattern without sets, read as git reads it. */
function matches(pattern: string, path: string, isDirectory: boolean): boolean {
  const [, only, slash] = /^!?(.*?)(\/?)$/.exec(bytes(pattern)) as RegExpExecArray;
  if (slash === '/' && !isDirectory) return false;
  const wild = { '**/': '(?:.*/)?', '/**': '/.+', '*': '[^/]*', '?': '(?:[\\xc2-\\xdf][\\x80-\\xbf]|[^/])' };
  const source = (only as string)
    .replace(/^\//, '')
    .replace(/\*\*\/|\/\*\*$|\*|\?|\./g, (part) => wild[part as keyof typeof wild] ?? '\\.');
  return new RegExp(`^${only?.includes('/') ? '' : '(?:.*/)?'}${source}$`, 's').test(path);
}

function put(world: Map<string, Thing>, names: Names, thing: Thing, owner: CopyCase['owner']): boolean {
  if (thing.kind === 'directory')
    return enterDirectory(world, names, { owner, mtime: thing.mtime }) !== undefined;
  const parent = enterDirectory(world, names.slice(0, -1), { owner, mtime: undefined });
  const name = names.at(-1);
  if (parent === undefined || name === undefined) return false;
  const place = [...parent, name].join('/');
  if (world.get(place)?.kind === 'directory') return false;
  const executable = (thing.mode & 0o111) !== 0;
  const mode = thing.kind === 'link' ? 0o777 : executable ? 0o755 : 0o644;
  world.set(place, { ...thing, ...owner, mode });
  return true;
}

interface NewDirectory {
  readonly owner: CopyCase['owner'];
  readonly mtime: bigint | undefined;
}

/** The real place of a directory, made where it is missing; undefined where something else is in the way. */
function enterDirectory(world: Map<string, Thing>, names: Names, made: NewDirectory): Names | undefined {
  let here: Names = [];
  for (const [i, name] of names.entries()) {
    const { real, missing } = resolve(world, here, [name]) ?? {};
    if (real === undefined || missing === undefined) return undefined;
    if (world.get(real.join('/'))?.kind !== 'directory') return undefined;
    here = real;
    for (const [j, one] of missing.entries()) {
      here = [...here, one];
      const isLast = i === names.length - 1 && j === missing.length - 1;
      const mtime = isLast ? made.mtime : undefined;
      world.set(here.join('/'), { kind: 'directory', mode: 0o755, ...made.owner, mtime, content: '' });
    }
  }
  return here;
}

/** Where names lead from a directory, each link followed as if the world were all there is. */
function resolve(
  world: World,
  from: Names,
  names: Names,
): { readonly real: Names; readonly missing: Names } | undefined {
  let real = [...from];
  const missing: string[] = [];
  const todo = [...names];
  for (let links = 0; todo.length > 0; ) {
    const name = todo.shift() as string;
    const there = missing.length > 0 ? undefined : world.get([...real, name].join('/'));
    if (!isName(name)) continue;
    if (name === '..') missing.length > 0 ? missing.pop() : real.pop();
    else if (there === undefined) missing.push(name);
    else if (there.kind === 'link') {
      links += 1;
      if (links > 40) return undefined;
      if (there.content.startsWith('/')) real = [];
      todo.unshift(...there.content.split('/'));
    } else if (there.kind !== 'directory' && todo.some(isName)) return undefined;
    else real.push(name);
  }
  return { real, missing };
}
