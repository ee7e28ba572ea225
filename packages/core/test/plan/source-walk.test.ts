import { lstatSync, realpathSync } from 'node:fs';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { holdDirectory } from '../../src/backend/held-directories.ts';
import { toHostPath } from '../../src/index.ts';
import type { IgnoreFile } from '../../src/plan/ignore-files.ts';
import type { SourceError } from '../../src/plan/source-error.ts';
import { type SourceEntry, walkSource } from '../../src/plan/source-walk.ts';
import { writeTree } from '../build/world.ts';

describe('a walk through a source', () => {
  it('says of each thing where it is below the source, in the tree and on the host', async () => {
    await using dir = await tempDir();
    await writeTree(dir.path, { 'a/b/c/f': '' });
    const root = realpathSync(dir.path);
    expect(walk(root, 'a/b').map(({ path, below, host }) => [path, below, `${host}`])).toEqual([
      ['', 'a/b', `${root}/a/b`],
      ['c', 'a/b/c', `${root}/a/b/c`],
      ['c/f', 'a/b/c/f', `${root}/a/b/c/f`],
    ]);
  });

  it('knows the target of a link byte by byte', async () => {
    await using dir = await tempDir();
    await symlink(Buffer.from('\xc3\xa9\xff', 'latin1'), join(dir.path, 'link'));
    expect(walk(dir.path, 'link')).toMatchObject([{ kind: 'link', target: '\xc3\xa9\xff' }]);
  });

  it.each([
    ['is not ASCII', 'caf\xc3\xa9'],
    ['is not UTF-8', 'caf\xe9'],
  ])(
    'begins in a tree that is reached through a link, where the name of its directory %s',
    async (_, name) => {
      await using dir = await tempDir();
      const tree = Buffer.from(`${dir.path}/${name}`, 'latin1');
      await mkdir(tree);
      await writeFile(Buffer.concat([tree, Buffer.from('/f')]), '');
      await symlink(tree, join(dir.path, 'current'));
      expect(walk(join(dir.path, 'current'), 'f')).toMatchObject([{ kind: 'file', below: 'f' }]);
    },
  );

  it('fails where the tree itself has gone away', async () => {
    await using dir = await tempDir();
    expect(failure(join(dir.path, 'gone'), 'f')).toEqual({
      type: 'invalid-source',
      path: 'f',
      message: '"f" went away while it was read',
    });
  });

  it('finds what is in the root directory by a path with one slash at its beginning', async () => {
    await using dir = await tempDir();
    await writeTree(dir.path, { f: '' });
    const file = join(realpathSync(dir.path), 'f');
    expect(walk('/', file).map(({ host }) => `${host}`)).toEqual([file]);
  });

  it('goes on where a file that is left out goes away meanwhile', async () => {
    await using dir = await tempDir();
    await writeTree(dir.path, { a: '', 'b.tmp': '', c: '' });
    const seen: string[] = [];
    for (const entry of walkSource({ root: toHostPath(dir.path), exclude: ['*.tmp'] }, '.')) {
      seen.push(expectOk(entry).path);
      await rm(join(dir.path, 'b.tmp'), { force: true });
    }
    expect(seen).toEqual(['', 'a', 'c']);
  });
});

describe('a walk where ignore files count', () => {
  it('has the source itself, and no directory in which nothing is taken back', async () => {
    await using dir = await tempDir();
    await writeTree(dir.path, {
      '.dockerignore': '*\n!A/keep\n!a/x/keep\n!a/y/keep\n',
      'A/other': '',
      'a/x/other': '',
      'a/y/keep': '',
      'a/y/other': '',
    });
    const paths = (source: string) => walk(dir.path, source, ['.dockerignore']).map(({ path }) => path);
    expect(paths('.')).toEqual(['', 'a', 'a/y', 'a/y/keep']);
    expect(paths('a')).toEqual(['', 'y', 'y/keep']);
  });

  it('does not begin in a directory that is left out', async () => {
    await using dir = await tempDir();
    await writeTree(dir.path, { '.gitignore': 'out/\n', 'out/sub/f': '' });
    expect(failure(dir.path, 'out/sub', ['.gitignore'])).toEqual({
      type: 'invalid-source',
      path: 'out/sub',
      message: '"out/sub" is left out by an ignore file of the context',
    });
  });

  it('fails for a wrong ignore file on the way to the source', async () => {
    await using dir = await tempDir();
    await writeTree(dir.path, { '.dockerignore': '!', 'd/f': '' });
    expect(failure(dir.path, 'd', ['.dockerignore'])).toMatchObject({ path: '.dockerignore' });
  });
});

describe('a walk that comes to what a store holds', () => {
  it.each([
    ['is the root of the tree', '', 'd', 'd'],
    ['is on the way to the source', 'a', 'a/b', 'a/b'],
    ['is the source', 'a', 'a/', 'a/'],
    ['is in the whole tree', 'a/b', '.', './a/b'],
    ['is in the whole tree, whose name is a slash', 'a/b', '/', 'a/b'],
    ['is in the source', 'a/b', 'a', 'a/b'],
    ['is in the source, whose name ends with slashes', 'a/b', 'a//', 'a/b'],
  ])('fails with the path as the spec names it, where that %s', async (_, held, source, path) => {
    await using dir = await tempDir();
    const directory = toHostPath(join(realpathSync(dir.path), held));
    await mkdir(join(dir.path, 'a/b'), { recursive: true });
    await mkdir(join(dir.path, 'd'));
    using _held = holdDirectory(directory);
    expect(failure(dir.path, source)).toEqual({
      type: 'invalid-source',
      path,
      message: `${directory.replace(/\/$/, '')} holds the state of a running builder, store, sandbox or fetcher (${directory}) and cannot be copied; leave it out with "exclude"`,
    });
  });
});

it('a device as a source is an error that says what to do', () => {
  expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
  expect(failure('/dev', 'null')).toEqual({
    type: 'invalid-source',
    path: 'null',
    message: '"null" is a device, which cannot be copied; leave it out with "exclude"',
  });
});

function walk(root: string, source: string, ignore: readonly IgnoreFile[] = []): SourceEntry[] {
  const tree = { root: toHostPath(root), exclude: [], ignore };
  return [...walkSource(tree, source)].map((entry) => expectOk(entry));
}

/** What a walk ends with. */
function failure(root: string, source: string, ignore: readonly IgnoreFile[] = []): SourceError {
  const tree = { root: toHostPath(root), exclude: [], ignore };
  const last = [...walkSource(tree, source)].at(-1);
  if (last === undefined) throw new Error('there is nothing');
  return expectErr(last);
}
