import { expectOk } from '@snapstep/test-support';
import { type IgnoreFile, toHostPath } from '../../src/index.ts';
import { walkSource } from '../../src/plan/source-walk.ts';

/** What is left of a source: paths below it, where a directory has a slash at its end. */
export function left(
  root: string,
  {
    src = '.',
    ignore,
    exclude = [],
  }: { src?: string; ignore: readonly IgnoreFile[]; exclude?: readonly string[] },
): string[] {
  return [...walkSource({ root: toHostPath(root), exclude, ignore }, src)]
    .map((entry) => {
      const { path, kind } = expectOk(entry);
      return Buffer.from(path, 'latin1').toString() + (kind === 'directory' ? '/' : '');
    })
    .filter((path) => path !== '/');
}
