import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { type IgnoreFile, type StepKey, toHostPath } from '../../src/index.ts';
import { walkSource } from '../../src/plan/source-walk.ts';
import { openPlace } from './copy-place.ts';
import { left } from './left.ts';
import { built, openWorld, readResult, request, writeTree } from './world.ts';

function wrong(root: string, src: string, ignore: readonly IgnoreFile[]): string {
  const all = [...walkSource({ root: toHostPath(root), exclude: [], ignore }, src)];
  const last = all.at(-1);
  if (last === undefined) throw new Error('there is nothing');
  return expectErr(last).message;
}

const GIT = ['.gitignore'] as const;
const DOCKER = ['.dockerignore'] as const;

describe('a .gitignore', () => {
  it('leaves out what it matches below its directory, and one further down has the last word', async () => {
    await using place = await openPlace();
    await writeTree(place.from, {
      '.gitignore': '# objects\n*.o\n/build\n\nlog/\n!keep.o\r\n\\#x\ntrailing  \nspace\\ \n[bad\n',
      'a.o': '',
      'keep.o': '',
      'build/x': '',
      'sub/build': '',
      'log/x': '',
      'sub/log': '',
      '#x': '',
      trailing: '',
      'space ': '',
      '[bad': '',
      'sub/.gitignore': '!a.o\nkeep.o\n/only\n',
      'sub/a.o': '',
      'sub/keep.o': '',
      'sub/only': '',
      'sub/deep/only': '',
    });
    expect(left(place.from, { ignore: GIT })).toEqual([
      ...['.gitignore', '[bad', 'keep.o', 'sub/', 'sub/.gitignore', 'sub/a.o', 'sub/build'],
      ...['sub/deep/', 'sub/deep/only', 'sub/log'],
    ]);
    expect(left(place.from, { ignore: [] })).toContain('a.o');
  });

  it('cannot take back what is in a directory that is left out', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { '.gitignore': 'd\n!d/keep\n', 'd/keep': '', 'd/.gitignore': '!keep' });
    expect(left(place.from, { ignore: GIT })).toEqual(['.gitignore']);
    expect(left(place.from, { ignore: [], exclude: ['d', '!d/keep'] })).toEqual(['.gitignore']);
    expect(left(place.from, { ignore: [], exclude: ['d/*', '!d/keep', '.*'] })).toEqual(['d/', 'd/keep']);
  });

  it('holds below the root of the context, whichever directory of it is the source', async () => {
    await using place = await openPlace();
    await writeTree(place.from, {
      '.gitignore': '/a/b/x\n',
      'a/.gitignore': 'y',
      'a/b/x': '',
      'a/b/y': '',
      'a/b/z': '',
    });
    expect(left(place.from, { src: 'a/b', ignore: GIT })).toEqual(['z']);
    expect(left(place.from, { src: 'a/b/z', ignore: GIT })).toEqual(['']);
    for (const src of ['a/b/x', 'a/b/y']) {
      expect(wrong(place.from, src, GIT)).toBe(`"${src}" is left out by an ignore file of the context`);
    }
  });

  it('leaves a directory that it empties', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { '.gitignore': '*.o', 'd/a.o': '' });
    expect(left(place.from, { ignore: GIT })).toEqual(['.gitignore', 'd/']);
  });
});

describe('a .dockerignore', () => {
  it('has patterns from the root, for what they match and all that is in it', async () => {
    await using place = await openPlace();
    await writeTree(place.from, {
      '.dockerignore': '\ufeff#c\n /a \n*/b\n**/c\nd/**\n e/../f/ \n*.o\r\n',
      'a/x': '',
      'x/a': '',
      'x/b': '',
      'x/y/b': '',
      'x/y/c/z': '',
      'd/x': '',
      f: '',
      'm.o': '',
      'x/m.o': '',
    });
    expect(left(place.from, { ignore: DOCKER })).toEqual([
      ...['.dockerignore', 'd/', 'x/', 'x/a', 'x/m.o', 'x/y/', 'x/y/b'],
    ]);
  });

  it('takes back also what is in a directory that is left out, with the directories above it alone', async () => {
    await using place = await openPlace();
    await writeTree(place.from, {
      '.dockerignore': '*\n!src/**/*.c\n!doc\ndoc/old\n',
      'src/a.c': '',
      'src/x/b.c': '',
      'src/x/b.h': '',
      'src/only-h/c.h': '',
      'doc/new': '',
      'doc/old/x': '',
      'other/x': '',
    });
    expect(left(place.from, { ignore: DOCKER })).toEqual([
      ...['doc/', 'doc/new', 'src/', 'src/a.c', 'src/x/', 'src/x/b.c'],
    ]);
    expect(left(place.from, { src: 'src/x', ignore: DOCKER })).toEqual(['b.c']);
    for (const src of ['other', 'src/only-h', 'src/x/b.h']) {
      expect(wrong(place.from, src, DOCKER)).toBe(`"${src}" is left out by an ignore file of the context`);
    }
  });

  it('counts in the root of the context alone, and with the others', async () => {
    await using place = await openPlace();
    await writeTree(place.from, {
      '.dockerignore': 'a/x',
      'a/.dockerignore': 'y',
      '.gitignore': '*.o',
      'a/x': '',
      'a/y': '',
      'a/z.o': '',
    });
    const ignore = ['.gitignore', '.dockerignore'] as const;
    expect(left(place.from, { ignore, exclude: ['.dockerignore'] })).toEqual(['.gitignore', 'a/', 'a/y']);
  });

  it('that is wrong is an error with its line', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { '.dockerignore': 'a\n\n![b\n' });
    expect(wrong(place.from, '.', DOCKER)).toBe(
      '".dockerignore", line 3: the pattern "![b" has a "[" without its "]"; write "\\[" for the character',
    );
    await writeTree(place.from, { '.dockerignore': 'a\n! \n' });
    expect(wrong(place.from, '.', DOCKER)).toBe(
      '".dockerignore", line 2: the pattern "!" takes nothing back',
    );
  });
});

describe('an ignore file', () => {
  it('that is no plain file is an error, and one that is not there leaves out nothing', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { f: '' });
    expect(left(place.from, { ignore: ['.dockerignore', '.gitignore'] })).toEqual(['f']);
    await mkdir(join(place.from, 'd/.gitignore'), { recursive: true });
    const what = 'cannot be read as an ignore file: it is not a plain file of at most 1 MiB';
    expect(wrong(place.from, '.', GIT)).toBe(`"d/.gitignore" ${what}`);
    await symlink('f', join(place.from, '.dockerignore'));
    expect(wrong(place.from, '.', DOCKER)).toBe(`".dockerignore" ${what}`);
    await execa('mkfifo', [join(place.from, '.gitignore')]);
    expect(wrong(place.from, '.', GIT)).toBe(`".gitignore" ${what}`);
  });

  it('of any bytes matches names of any bytes', async () => {
    await using place = await openPlace();
    await writeFile(join(place.from, '.gitignore'), Buffer.from('\xff*\n\xc3?\xff\n', 'latin1'));
    for (const name of ['\xffa', '\xfea', '\xc3\xa9\xff', '\xc3\xa9ab', '\xef\xbf\xbd']) {
      await writeFile(Buffer.concat([Buffer.from(`${place.from}/`), Buffer.from(name, 'latin1')]), '');
    }
    const { root, exclude } = { root: toHostPath(place.from), exclude: ['\ufffd', '.*'] };
    const kept = [...walkSource({ root, exclude, ignore: GIT }, '.')].map((entry) => expectOk(entry).path);
    expect(kept).toEqual(['', '\xc3\xa9ab', '\xfea']);
  });
});

describe('what a build leaves out', () => {
  it('is in its key only through what is left, and its ignore files are for the context alone', async () => {
    await using world = await openWorld({
      make: async ({ root }) => {
        await writeTree(root, { '.gitignore': '*', 'out/.gitignore': '*', 'out/a.o': '' });
        return 0;
      },
    });
    const context = (name: string) => toHostPath(join(world.dir, name));
    await writeTree(context('ignoring'), {
      '.gitignore': '*.o\n.git*\n',
      'a.c': 'c',
      'a.o': 'o',
      'd/b.o': 'o',
    });
    await writeTree(context('excluding'), { 'a.c': 'c', 'a.o': 'o', 'd/b.o': 'o' });
    await writeTree(context('plain'), { 'a.c': 'c' });
    await mkdir(join(context('plain'), 'd'));
    const spec = (exclude: string) => `((build s ((from base) (run (shell make)))) (from base)
      (copy (src .) (dst /x/)${exclude}) (copy (from (build s)) (src out) (dst /y/)))`;
    const ignoreFiles = ['.gitignore'] as const;
    const keys = [
      await built(world.builder, spec(''), { context: context('ignoring'), ignoreFiles }),
      await built(world.builder, spec(' (exclude a.? !*.c *.o)'), {
        context: context('excluding'),
        ignoreFiles,
      }),
      await built(world.builder, spec(''), { context: context('plain') }),
    ];
    expect(new Set(keys).size).toBe(1);
    expect(await built(world.builder, spec(''), { context: context('ignoring') })).not.toBe(keys[0]);
    await using result = expectOk(await world.builder.open(keys[0] as StepKey));
    expect(await readResult(result, 'y/out/a.o')).toBe('');
  });

  it('is an error if nobody knows how to read the file that says it', async () => {
    await using world = await openWorld({});
    await writeTree(world.dir, { 'context/f': '' });
    const more = {
      context: toHostPath(join(world.dir, 'context')),
      ignoreFiles: ['.npmignore' as IgnoreFile],
    };
    const built = await world.builder.build(request('((from base) (copy (src f) (dst /)))', more));
    expect(expectErr(built)).toEqual({
      type: 'invalid-context',
      path: '.npmignore',
      message: '".npmignore" is no ignore file; there are .dockerignore and .gitignore',
    });
  });
});
