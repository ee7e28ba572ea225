import { type BytePath, toBytePath } from '../backend/byte-path.ts';

declare const brand: unique symbol;

/**
 * A place in a file tree: the names on the way from its root, with a `/` between them and none of them empty, `.` or
 * `..`; empty for the root itself. Only the functions here put such paths together or take them apart.
 */
export type TreePath = BytePath & { readonly [brand]: true };

export const TREE_ROOT: TreePath = '' as TreePath;

/**
 * A path as people write it, read as text: `.` and needless slashes go, and `..` takes the name before it away.
 * Above the root is the root.
 */
export function toTreePath(text: string): TreePath {
  const names: string[] = [];
  for (const name of text.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return toBytePath(names.join('/')) as TreePath;
}

/** @param path - Where to go from `directory`: a name, or what is a {@link TreePath} below it. */
export function within(directory: TreePath, path: BytePath): TreePath {
  if (directory === '' || path === '') return (directory || path) as TreePath;
  return `${directory}/${path}` as TreePath;
}

/** The directory that holds a place, and its name in there; undefined for the root. */
export function splitPath(
  path: TreePath,
): { readonly directory: TreePath; readonly name: BytePath } | undefined {
  if (path === TREE_ROOT) return undefined;
  const slash = path.lastIndexOf('/');
  return { directory: path.slice(0, Math.max(slash, 0)) as TreePath, name: path.slice(slash + 1) };
}

/** Whether a place is in a directory, at any depth. */
export function isBelow(path: TreePath, directory: TreePath): boolean {
  return directory === TREE_ROOT ? path !== TREE_ROOT : path.startsWith(`${directory}/`);
}
