import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { LeasedSnapshot } from '@snapstep/core';
import { digestOf, type Tree } from '../recipes.ts';

const BUSYBOX = '/bin/busybox';
const OF_IMAGE: ReadonlySet<string> = new Set(
  'bin d dev etc group home passwd proc root sys tmp usr var w'.split(' '),
);
let busybox: Promise<string> | undefined;

/** What is wrong with the files of a saved step. What cannot be read is no wrong result: whoever wants it is told. */
export async function compareTree(result: LeasedSnapshot, expected: Tree): Promise<readonly string[]> {
  const volume = result.snapshot.volumes.values().next().value;
  if (volume === undefined) return [`${result.key} has no volume`];
  const mounted = await volume.mount();
  if (mounted.isErr()) return [];
  await using root = mounted.value;
  try {
    const differences = [
      ...diff(await readTree(join(root.path, 'd')), expected),
      ...(await strangers(root.path)),
    ];
    busybox ??= hash(BUSYBOX);
    if ((await hash(join(root.path, 'bin/busybox'))) !== (await busybox))
      differences.push('bin/busybox is another file');
    return differences.length === 0 ? [] : [`${result.key}: ${shorten(differences)}`];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EIO' || code === 'EUCLEAN' || code === 'EMFILE' || code === 'EBADMSG') return [];
    return [`${result.key} cannot be read: ${(error as Error).message}`];
  }
}

/** What was made to mount something on is gone when the step is over. */
async function strangers(root: string): Promise<readonly string[]> {
  const found = [...(await readdir(root)), ...(await readdir(join(root, 'etc')))];
  return found.filter((name) => !OF_IMAGE.has(name)).map((name) => `"${name}" is of no image`);
}

async function readTree(root: string): Promise<Tree> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  const tree: Record<string, string> = {};
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const stats = await lstat(path);
    if (stats.isDirectory()) continue;
    tree[relative(root, path)] = stats.isFile() ? digestOf(await readFile(path)) : 'no file';
  }
  return tree;
}

function* diff(found: Tree, expected: Tree): Iterable<string> {
  for (const path of new Set([...Object.keys(found), ...Object.keys(expected)])) {
    const want = expected[path] === undefined ? undefined : shortened(expected[path]);
    if (found[path] !== want)
      yield `/d/${path} is ${JSON.stringify(found[path])}, not ${JSON.stringify(want)}`;
  }
}

function shorten(differences: readonly string[]): string {
  const more = differences.length > 3 ? ` and ${differences.length - 3} more` : '';
  return `${differences.slice(0, 3).join('; ')}${more}`;
}

/** Trees of recipes hold the whole text of small files. */
function shortened(text: string): string {
  return text.startsWith('sha256:') ? text : digestOf(Buffer.from(text));
}

async function hash(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
