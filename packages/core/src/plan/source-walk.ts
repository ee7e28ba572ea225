import { type BigIntStats, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { err, ok, type Result } from 'neverthrow';
import { type BytePath, toBytePath, toFsPath, toReadable } from '../backend/byte-path.ts';
import { heldDirectory } from '../backend/held-directories.ts';
import type { HostPath } from '../backend/names.ts';
import { OpenDirectory } from '../backend/open-directory.ts';
import type { IgnoreFile } from './ignore-files.ts';
import { invalid, readable, type SourceError } from './source-error.ts';
import { SourceFilter } from './source-filter.ts';
import { isBelow, TREE_ROOT, type TreePath, toTreePath, within } from './tree-path.ts';

/** One thing below a source, or the source itself. */
export type SourceEntry = {
  /** Below the source; the root is the source itself. */
  readonly path: TreePath;
  /** Below the root of the tree. */
  readonly below: TreePath;
  /** Its path on the host, for people, when it was looked at. */
  readonly host: BytePath;
  /** For system calls: the thing that was looked at, or one that has its name in its directory by now. Until the next entry. */
  readonly at: Buffer;
  readonly stat: BigIntStats;
} & (
  | { readonly kind: 'file'; readonly executable: boolean }
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly target: BytePath }
);

export interface SourceTree {
  /** The directory that sources are looked for in. */
  readonly root: HostPath;
  /** Patterns of what is left out below a source; see `CopyOp`. */
  readonly exclude: readonly string[];
  /** Files in the tree that say what of it is left out. Default: none. */
  readonly ignore?: readonly IgnoreFile[];
}

/** The last component of a source; empty where its content is meant, as with `.`. */
export function baseName(source: string): string {
  return components(source).at(-1) ?? '';
}

/**
 * Everything in one source, each directory before its entries, which are sorted by their bytes.
 * No link is followed, whether in the source's path or below it. It ends with the first error.
 */
export function* walkSource(tree: SourceTree, source: string): Generator<Result<SourceEntry, SourceError>> {
  // A context may be reached through a link; from there on none is followed.
  const opened = readable(source, () => {
    const root = realpathSync.native(tree.root, 'latin1');
    return ok({ root, directory: OpenDirectory.open(root) });
  });
  if (opened.isErr()) return yield err(opened.error);
  const { root, directory } = opened.value;
  using _open = directory;
  const walk = new SourceWalk(tree, { source, root, directory });
  const start = readable(source, () => walk.locate());
  if (start.isErr()) return yield err(start.error);
  yield* walk.entries(start.value);
}

/** A place in the tree. */
interface Spot {
  /** Below the root of the tree. */
  readonly below: TreePath;
  readonly host: BytePath;
  /** In its directory; `.` for the root of the tree. */
  readonly name: BytePath;
  /** How deep that directory is. */
  readonly depth: number;
}

/** A place that is still to be looked at. */
interface Place extends Spot {
  /** Below the source. */
  readonly path: TreePath;
}

class SourceWalk {
  readonly #root: BytePath;
  /** Where the walk is now. */
  readonly #directory: OpenDirectory;
  readonly #source: string;
  readonly #start: TreePath;
  readonly #filter: SourceFilter;

  constructor(
    { exclude, ignore = [] }: SourceTree,
    {
      source,
      root,
      directory,
    }: { readonly source: string; readonly root: BytePath; readonly directory: OpenDirectory },
  ) {
    this.#root = root;
    this.#directory = directory;
    this.#source = source;
    this.#start = toTreePath(source);
    this.#filter = new SourceFilter(exclude, ignore);
  }

  /** Finds the source, and enters all directories on the way to it. */
  locate(): Result<Place, SourceError> {
    const source = this.#source;
    const names = components(source);
    if (names.includes('..')) return invalid(source, `".." is not allowed in "${source}"`);
    let spot: Spot = { below: TREE_ROOT, host: this.#root, name: '.', depth: 0 };
    const isFree = refuseHeld(spot.host, { stat: statOf(this.#directory.path('.')), source });
    if (isFree.isErr()) return err(isFree.error);
    for (const [i, name] of names.entries()) {
      const entered = this.#filter.enter(spot.below, this.#directory.path('.'));
      if (entered.isErr()) return err(entered.error);
      spot = spotIn(spot, { name: toBytePath(name), depth: this.#directory.depth });
      const found = this.#checkOnTheWay(spot, { name, isLast: i === names.length - 1 });
      if (found.isErr()) return err(found.error);
    }
    return ok({ ...spot, path: TREE_ROOT });
  }

  #checkOnTheWay(
    spot: Spot,
    { name, isLast }: { readonly name: string; readonly isLast: boolean },
  ): Result<void, SourceError> {
    const source = this.#source;
    const { host, below } = spot;
    const at = this.#directory.path(spot.name);
    const stat = lstatSync(toFsPath(at), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return invalid(source, `"${name}" of "${source}" was not found`);
    const isFree = refuseHeld(host, { stat, source });
    if (isFree.isErr()) return err(isFree.error);
    if (this.#filter.verdict(below, TREE_ROOT, stat.isDirectory()) === 'leave') return this.#isLeftOut();
    if (isLast) return ok();
    if (stat.isDirectory()) return this.#enter(spot.name, stat, source);
    const what = stat.isSymbolicLink() ? 'is a symbolic link, which is not followed' : 'is not a directory';
    return invalid(source, `"${name}" of "${source}" ${what}`);
  }

  #enter(name: BytePath, stat: BigIntStats, shown: string): Result<void, SourceError> {
    return isSame(shown, () => this.#directory.enter(name, stat));
  }

  #isLeftOut(): Result<never, SourceError> {
    return invalid(this.#source, `"${this.#source}" is left out by an ignore file of the context`);
  }

  *entries(start: Place): Generator<Result<SourceEntry, SourceError>> {
    // Directories that are only there for what may be kept below them, each below the one before.
    const waiting: SourceEntry[] = [];
    const todo: Place[] = [start];
    let isThere = false;
    for (let place = todo.pop(); place !== undefined; place = todo.pop()) {
      const looked = readable(this.#describe(place), () => this.#look(place));
      if (looked.isErr()) return yield err(looked.error);
      if (looked.value === undefined) continue;
      const { entry, children, waits } = looked.value;
      while (waiting.length > 0 && !isBelow(place.path, (waiting.at(-1) as SourceEntry).path)) waiting.pop();
      waiting.push(entry);
      if (!waits) {
        isThere = true;
        for (const one of waiting.splice(0)) yield ok(one);
      }
      for (let i = children.length - 1; i >= 0; i -= 1) todo.push(children[i] as Place);
    }
    if (!isThere) yield this.#isLeftOut();
  }

  /** @returns Undefined if it is left out. */
  #look(place: Place): Result<Looked | undefined, SourceError> {
    const shown = this.#describe(place);
    const left = isSame(shown, () => this.#directory.leave(place.depth));
    if (left.isErr()) return err(left.error);
    const at = this.#directory.path(place.name);
    const stat = statOf(at);
    const verdict = this.#filter.verdict(this.#start, place.path, stat.isDirectory());
    if (verdict === 'leave') return ok(undefined);
    const entry = readEntry(place, { at, stat, shown });
    if (entry.isErr()) return err(entry.error);
    const waits = verdict === 'look';
    if (entry.value.kind !== 'directory') return ok({ entry: entry.value, children: [], waits });
    const isRoot = place.name === '.';
    const into = isRoot ? ok() : this.#enter(place.name, stat, shown);
    if (into.isErr()) return err(into.error);
    const here = this.#directory.path('.');
    const entered = this.#filter.enter(place.below, here);
    if (entered.isErr()) return err(entered.error);
    const { depth } = this.#directory;
    const children = readdirSync(toFsPath(here), 'latin1')
      .sort()
      .map((name) => ({ path: within(place.path, name), ...spotIn(place, { name, depth }) }))
      // What is left out whatever it is may even go away meanwhile.
      .filter(({ path }) =>
        [true, false].some((is) => this.#filter.verdict(this.#start, path, is) !== 'leave'),
      );
    return ok({ entry: entry.value, children, waits });
  }

  /** For people: a source as the spec names it, and a path below it. */
  #describe({ path }: Place): string {
    if (path === TREE_ROOT) return this.#source;
    const start = this.#source.replace(/\/+$/, '');
    return start === '' ? toReadable(path) : `${start}/${toReadable(path)}`;
  }
}

interface Looked {
  readonly entry: SourceEntry;
  readonly children: readonly Place[];
  /** Whether it is only there for what may be kept below it. */
  readonly waits: boolean;
}

/** @param go - Goes to another directory; false if that is another one by now. */
function isSame(shown: string, go: () => boolean): Result<void, SourceError> {
  return readable(shown, () => (go() ? ok() : invalid(shown, `"${shown}" changed while it was read`)));
}

function statOf(at: BytePath): BigIntStats {
  return lstatSync(toFsPath(at), { bigint: true });
}

function spotIn({ below, host }: Spot, at: Pick<Spot, 'name' | 'depth'>): Spot {
  return { below: within(below, at.name), host: `${host === '/' ? '' : host}/${at.name}`, ...at };
}

function readEntry(
  { path, below, host }: Place,
  look: { readonly at: BytePath; readonly stat: BigIntStats; readonly shown: string },
): Result<SourceEntry, SourceError> {
  const { stat, shown } = look;
  const isFree = refuseHeld(host, { stat, source: shown });
  if (isFree.isErr()) return err(isFree.error);
  const at = toFsPath(look.at);
  const common = { path, below, host, at, stat };
  if (stat.isFile()) return ok({ ...common, kind: 'file', executable: (stat.mode & 0o111n) !== 0n });
  if (stat.isDirectory()) return ok({ ...common, kind: 'directory' });
  if (stat.isSymbolicLink()) return ok({ ...common, kind: 'link', target: readlinkSync(at, 'latin1') });
  return invalid(
    shown,
    `"${shown}" is ${describe(stat)}, which cannot be copied; leave it out with "exclude"`,
  );
}

/** What an open store, builder or sandbox works on is never whole, and reading it would cost them their locks. */
function refuseHeld(
  host: BytePath,
  { stat, source }: { readonly stat: BigIntStats; readonly source: string },
): Result<void, SourceError> {
  const directory = heldDirectory(stat);
  if (directory === undefined) return ok();
  const what = `the state of a running builder, store, sandbox or fetcher (${directory})`;
  return invalid(
    source,
    `${toReadable(host)} holds ${what} and cannot be copied; leave it out with "exclude"`,
  );
}

function describe(stat: BigIntStats): string {
  if (stat.isSocket()) return 'a socket';
  if (stat.isFIFO()) return 'a named pipe';
  return 'a device';
}

function components(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
