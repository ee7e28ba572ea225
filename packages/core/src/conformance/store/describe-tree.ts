import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';

/**
 * One line for everything below a directory, and for the directory: name, kind, mode, owner, time of the last
 * change to the nanosecond, content, and which names are one file. Two trees are equal when their lines are.
 */
export async function describeTree(root: string): Promise<readonly string[]> {
  const seen = new Map<bigint, string>();
  const paths = await walk(Buffer.from(root), Buffer.alloc(0));
  const lines: string[] = [];
  for (const path of paths) lines.push(await describe(root, { path, seen }));
  return lines;
}

async function walk(root: Buffer, below: Buffer): Promise<Buffer[]> {
  const entries = await readdir(join(root, below), { encoding: 'buffer', withFileTypes: true });
  const found: Buffer[] = [below];
  for (const entry of entries.sort((a, b) => Buffer.compare(a.name, b.name))) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) found.push(...(await walk(root, path)));
    else found.push(path);
  }
  return found;
}

async function describe(
  root: string,
  { path, seen }: { readonly path: Buffer; readonly seen: Map<bigint, string> },
): Promise<string> {
  const name = path.toString('latin1');
  const stats = await lstat(join(Buffer.from(root), path), { bigint: true });
  const content = await describeContent(join(Buffer.from(root), path), stats);
  const first = seen.get(stats.ino);
  if (first === undefined && !stats.isDirectory()) seen.set(stats.ino, name);
  const same = first === undefined ? '' : ` same file as ${JSON.stringify(first)}`;
  const mode = stats.mode.toString(8);
  return `${JSON.stringify(name)} ${mode} ${stats.uid}:${stats.gid} ${stats.mtimeNs} ${content}${same}`;
}

async function describeContent(path: Buffer, stats: BigIntStats): Promise<string> {
  if (stats.isSymbolicLink())
    return `-> ${(await readlink(path, { encoding: 'buffer' })).toString('latin1')}`;
  if (stats.isFile())
    return createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  if (stats.isBlockDevice() || stats.isCharacterDevice()) return `device ${stats.rdev}`;
  return stats.isDirectory() ? 'directory' : 'special';
}

function join(parent: Buffer, name: Buffer): Buffer {
  return parent.length === 0 ? name : Buffer.concat([parent, Buffer.from('/'), name]);
}
