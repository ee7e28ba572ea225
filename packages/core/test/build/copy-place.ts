import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk, tempDir } from '@snapstep/test-support';
import { HashCache } from '../../src/backend/hash-cache.ts';
import { copyTree } from '../../src/build/copy-tree.ts';
import { toHostPath } from '../../src/index.ts';
import { hostFiles } from '../../src/plan/file-names.ts';
import { type CopySources, manifestOf } from '../../src/plan/manifest.ts';
import { toTreePath } from '../../src/plan/tree-path.ts';

export const signal: AbortSignal = new AbortController().signal;
export const ME = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

export async function openPlace() {
  const dir = await tempDir();
  const [from, to] = [join(dir.path, 'from'), join(dir.path, 'to')];
  await mkdir(from);
  await mkdir(to);
  await mkdir(join(dir.path, 'state'));
  const hashes = HashCache.open(toHostPath(join(dir.path, 'state')));
  const sourcesOf = (
    src: readonly string[],
    target: string,
    exclude: readonly string[] = [],
  ): CopySources => ({
    root: toHostPath(from),
    src,
    exclude,
    named: target.endsWith('/'),
    names: hostFiles(),
  });
  return {
    from,
    to,
    outside: dir.path,
    hashes,
    manifest: (src: readonly string[], target = '/x/') =>
      manifestOf(sourcesOf(src, target), { cache: hashes, signal }),
    copy: async (
      src: readonly string[],
      target: string,
      more: { exclude?: string[]; between?: () => unknown } = {},
    ) => {
      const sources = sourcesOf(src, target, more.exclude);
      const manifest = expectOk(await manifestOf(sources, { cache: hashes, signal }));
      await more.between?.();
      return copyTree({
        sources,
        manifest,
        root: toHostPath(to),
        target: toTreePath(target),
        owner: ME,
        hashes,
        signal,
      });
    },
    [Symbol.asyncDispose]: async () => {
      hashes[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Every path below a directory; `readdir` itself would follow links. */
export async function tree(dir: string, prefix = ''): Promise<string[]> {
  const entries = await readdir(join(dir, prefix), { withFileTypes: true });
  const paths = entries.map(async (entry) => {
    const path = join(prefix, entry.name);
    return entry.isDirectory() ? [path, ...(await tree(dir, path))] : [path];
  });
  return (await Promise.all(paths)).flat().sort();
}
