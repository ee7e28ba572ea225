import { mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { filler } from './filler.ts';
import { differences, type Entry, type Tree } from './tree.ts';

const file = (text: string): Entry => ({ type: 'file', bytes: () => Buffer.from(text) });
const EXPECTED: Tree = new Map<string, Entry>([
  ['directory', { type: 'directory' }],
  ['directory/file', file('whole')],
  ['link', { type: 'link', target: 'directory/file' }],
]);

it.each<[string, (root: string) => Promise<void>, readonly string[]]>([
  ['nothing of a tree that is as it must be', async () => {}, []],
  ['an empty file', (root) => truncate(join(root, 'directory/file')), ['directory/file has 0 bytes, not 5']],
  [
    'a file with holes',
    (root) => writeFile(join(root, 'directory/file'), '\0\0\0\0\0'),
    ['directory/file has other bytes'],
  ],
  ['a file that is missing', (root) => rm(join(root, 'directory/file')), ['directory/file is missing']],
  ['a file that is too much', (root) => writeFile(join(root, 'more'), ''), ['more is too much']],
  [
    'a link that leads elsewhere',
    (root) => replaceLink(root, '/'),
    ['link leads to "/", not "directory/file"'],
  ],
  ['a directory in the place of a link', (root) => replaceLink(root), ['link is a directory, not a link']],
])('comparing trees finds %s', async (_, change, expected) => {
  await using root = await tempDir();
  await mkdir(join(root.path, 'directory'));
  await writeFile(join(root.path, 'directory/file'), 'whole');
  await symlink('directory/file', join(root.path, 'link'));
  await change(root.path);
  expect(differences(root.path, EXPECTED)).toEqual(expected);
});

it('filler is a line again and again, cut off after so many bytes', () => {
  expect(filler('ab', 8).toString()).toBe('ab\nab\nab');
});

async function replaceLink(root: string, target?: string): Promise<void> {
  await rm(join(root, 'link'));
  await (target === undefined ? mkdir(join(root, 'link')) : symlink(target, join(root, 'link')));
}
