import { type BigIntStats, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { err, ok, type Result } from 'neverthrow';
import { type BytePath, toBytePath, toFsPath, toReadable } from '../backend/byte-path.ts';
import { heldDirectory } from '../backend/held-directories.ts';
import type { HostPath } from '../backend/names.ts';
import { TREE_ROOT, type TreePath, within } from './tree-path.ts';

/** What is wrong with the files that a `copy` wants. */
export interface SourceError {
  readonly type: 'invalid-source';
  /** As the spec names it, or below that. */
  readonly path: string;
  readonly message: string;
}

/** One thing below a source, or the source itself. */
export type SourceEntry = {
  /** Below the source; the root is the source itself. */
  readonly path: TreePath;
  /** Below the root of the tree. */
  readonly below: BytePath;
  readonly host: Buffer;
  readonly stat: BigIntStats;
} & (
  | { readonly kind: 'file'; readonly executable: boolean }
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly target: BytePath }
);

export interface SourceTree {
  /** The directory that sources are looked for in. */
  readonly root: HostPath;
  /** Base names that are left out below a source. */
  readonly exclude: readonly string[];
}

/** The last component of a source; empty where its content is meant, as with `.`. */
export function baseName(source: string): string {
  return components(source).at(-1) ?? '';
}

/**
 * Everything in one source, each directory before its entries, which are sorted by their bytes.
 * No link is followed, whether in the source's path or below it.
 */
export function* walkSource(tree: SourceTree, source: string): Generator<Result<SourceEntry, SourceError>> {
  const start = readable(source, () => locate(tree.root, source));
  if (start.isErr()) return yield err(start.error);
  const excluded = new Set(tree.exclude.map(toBytePath));
  const { root, host: top } = start.value;
  yield* walk(TREE_ROOT, top);

  function* walk(path: TreePath, host: BytePath): Generator<Result<SourceEntry, SourceError>> {
    const shown = describePath(source, path);
    const entry = readable(shown, () => readEntry({ path, below: host.slice(root.length + 1), host, shown }));
    yield entry;
    if (entry.isErr() || entry.value.kind !== 'directory') return;
    const names = readable(shown, () => ok(readdirSync(toFsPath(host), 'latin1').sort()));
    if (names.isErr()) return yield err(names.error);
    for (const name of names.value) {
      if (!excluded.has(name)) yield* walk(within(path, name), `${host}/${name}`);
    }
  }
}

/** What the system says of a file to copy is the caller's to mend: it is missing, or may not be read. */
export function readable<T>(shown: string, look: () => Result<T, SourceError>): Result<T, SourceError> {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
    const why = error.code === 'ENOENT' ? 'went away while it was read' : `cannot be read: ${error.message}`;
    return invalid(shown, `"${shown}" ${why}`);
  }
}

function locate(
  directory: HostPath,
  source: string,
): Result<{ readonly root: BytePath; readonly host: BytePath }, SourceError> {
  const names = components(source);
  if (names.includes('..')) return invalid(source, `".." is not allowed in "${source}"`);
  // A context may be reached through a link; from there on none is followed.
  const root = realpathSync(directory, 'latin1');
  let host = root;
  const place = refuseHeld(host, { stat: lstatSync(toFsPath(host), { bigint: true }), source });
  if (place.isErr()) return err(place.error);
  for (const [i, name] of names.entries()) {
    host = `${host}/${toBytePath(name)}`;
    const stat = lstatSync(toFsPath(host), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return invalid(source, `"${name}" of "${source}" was not found`);
    const free = refuseHeld(host, { stat, source });
    if (free.isErr()) return err(free.error);
    if (i === names.length - 1 || stat.isDirectory()) continue;
    const what = stat.isSymbolicLink() ? 'is a symbolic link, which is not followed' : 'is not a directory';
    return invalid(source, `"${name}" of "${source}" ${what}`);
  }
  return ok({ root, host });
}

/** For people: a source as the spec names it, and a path below it. */
function describePath(source: string, path: TreePath): string {
  if (path === TREE_ROOT) return source;
  const start = source.replace(/\/+$/, '');
  return start === '' ? toReadable(path) : `${start}/${toReadable(path)}`;
}

function readEntry(at: {
  readonly path: TreePath;
  readonly below: BytePath;
  readonly host: BytePath;
  readonly shown: string;
}): Result<SourceEntry, SourceError> {
  const { shown } = at;
  const host = toFsPath(at.host);
  const stat = lstatSync(host, { bigint: true });
  const free = refuseHeld(at.host, { stat, source: shown });
  if (free.isErr()) return err(free.error);
  const common = { path: at.path, below: at.below, host, stat };
  if (stat.isFile()) return ok({ ...common, kind: 'file', executable: (stat.mode & 0o111n) !== 0n });
  if (stat.isDirectory()) return ok({ ...common, kind: 'directory' });
  if (stat.isSymbolicLink()) return ok({ ...common, kind: 'link', target: readlinkSync(host, 'latin1') });
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

function invalid(path: string, message: string): Result<never, SourceError> {
  return err({ type: 'invalid-source', path, message });
}
