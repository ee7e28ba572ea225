import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { needs } from '@snapstep/test-support';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openPlace } from './copy-place.ts';
import { left } from './left.ts';

const run = promisify(execFile);

needs('git')('git itself', () => {
  const name = fc.constantFrom('a', 'b', 'ab', '.c', 'a b', '[', 'é');
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
  const piece = fc.oneof(
    name,
    fc.constantFrom('*', '**', '?', '[ab]', '[!a]', '\\', 'a*', '*b', '**a', '.', '..', ''),
  );
  const line = fc
    .tuple(
      fc.constantFrom('', '', '!', '!', '#', ' '),
      fc.constantFrom('', '', '/'),
      fc.array(piece, { maxLength: 4 }),
    )
    .chain(([start, slash, names]) =>
      fc
        .constantFrom('', '', '/', ' ', '\\ ', '\r', '/**')
        .map((end) => start + slash + names.join('/') + end),
    );
  const file = fc.array(line, { maxLength: 5 }).map((lines) => lines.join('\n'));

  it('leaves out the same files', async () => {
    await using place = await openPlace();
    await run('git', ['init', '-q', place.from]);
    const tree = fc.record({
      files: fc.array(path, { maxLength: 8 }),
      ignores: fc.array(fc.tuple(fc.oneof(fc.constant('.'), path), file), { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(tree, async ({ files, ignores }) => {
        for (const old of await readdir(place.from)) {
          if (old !== '.git') await rm(join(place.from, old), { recursive: true });
        }
        for (const one of files) await put(place.from, one, '');
        for (const [directory, text] of ignores) await put(place.from, join(directory, '.gitignore'), text);
        const list = ['ls-files', '-z', '--others', '--exclude-standard'];
        const { stdout } = await run('git', ['-C', place.from, '-c', 'core.excludesFile=/dev/null', ...list]);
        const ours = left(place.from, { ignore: ['.gitignore'], exclude: ['/.git'] });
        expect(ours.filter((one) => !one.endsWith('/')).sort()).toEqual(
          stdout.split('\0').slice(0, -1).sort(),
        );
      }),
      { numRuns: Number(process.env.SNAPSTEP_IGNORE_CASES ?? 60) },
    );
  });
});

/** Where something else is in the way, the tree goes without the file. */
async function put(root: string, path: string, content: string): Promise<void> {
  const place = join(root, path);
  try {
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, content);
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
  }
}
