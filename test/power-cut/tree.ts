import { type Dirent, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** What a path must be. A file's bytes are asked for when they are compared. */
export type Entry =
  | { readonly type: 'file'; readonly bytes: () => Uint8Array }
  | { readonly type: 'link'; readonly target: string }
  | { readonly type: 'directory' };

/** Every path below a root, without a leading slash. */
export type Tree = ReadonlyMap<string, Entry>;

/** @returns A line for each path that is not what it must be, is missing, or is there and must not be. */
export function differences(root: string, expected: Tree): readonly string[] {
  const found = readTree(root);
  const extra = [...found.keys()].filter((path) => !expected.has(path)).map((path) => `${path} is too much`);
  const wrong: string[] = [];
  for (const [path, wanted] of expected) {
    const problem = difference(found.get(path), wanted);
    if (problem !== undefined) wrong.push(`${path} ${problem}`);
  }
  return [...wrong, ...extra];
}

/** A tree on the disk, as one to be compared with. No link is followed, which `readdirSync` of all levels would do. */
export function readTree(root: string): Tree {
  const tree = new Map<string, Entry>();
  const directories = [''];
  for (let at = directories.pop(); at !== undefined; at = directories.pop()) {
    for (const found of readdirSync(join(root, at), { withFileTypes: true })) {
      const path = join(at, found.name);
      tree.set(path, toEntry(join(root, path), found));
      if (found.isDirectory()) directories.push(path);
    }
  }
  return tree;
}

function toEntry(path: string, found: Dirent): Entry {
  if (found.isSymbolicLink()) return { type: 'link', target: readlinkSync(path) };
  return found.isDirectory() ? { type: 'directory' } : { type: 'file', bytes: () => readFileSync(path) };
}

function difference(found: Entry | undefined, wanted: Entry): string | undefined {
  if (found === undefined) return 'is missing';
  if (found.type === 'file' && wanted.type === 'file') {
    const [is, should] = [found.bytes(), wanted.bytes()];
    if (Buffer.compare(is, should) === 0) return undefined;
    return is.length === should.length ? 'has other bytes' : `has ${is.length} bytes, not ${should.length}`;
  }
  if (found.type === 'link' && wanted.type === 'link') {
    return found.target === wanted.target ? undefined : `leads to "${found.target}", not "${wanted.target}"`;
  }
  return found.type === wanted.type ? undefined : `is a ${found.type}, not a ${wanted.type}`;
}
