import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openPlace, tree } from './copy-place.ts';
import { writeTree } from './world.ts';

describe('the destination of a copy', () => {
  it('that ends with a slash takes each source under its name, a directory as a directory', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'a.txt': 'a', 'dir/b.txt': 'b' });
    expectOk(await place.copy(['a.txt', 'dir', '/dir/b.txt'], '/in/here/'));
    expect(await tree(place.to)).toEqual([
      'in',
      'in/here',
      'in/here/a.txt',
      'in/here/b.txt',
      'in/here/dir',
      'in/here/dir/b.txt',
    ]);
  });

  it('without a slash becomes the source, and "." means what is in it', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'a.txt': 'a', 'dir/b.txt': 'b' });
    expectOk(await place.copy(['dir'], '/one'));
    expectOk(await place.copy(['.'], '/two/'));
    expectOk(await place.copy(['./a.txt'], '/three'));
    expect(await tree(place.to)).toEqual([
      ...['one', 'one/b.txt', 'three', 'two', 'two/a.txt', 'two/dir', 'two/dir/b.txt'],
    ]);
  });

  it.each([
    ['/', ''],
    ['//', ''],
    ['/.', ''],
    ['/./', ''],
    ['.', ''],
    ['./', ''],
    ['/..', ''],
    ['/in/..', ''],
    ['/in/../', ''],
    ['..', ''],
    ['../../', ''],
    ['/in', 'in/'],
    ['//in//', 'in/'],
    ['/./in/.', 'in/'],
    ['/other/../in', 'in/'],
    ['/in/..in/../..in', 'in/..in/'],
    ['in/...', 'in/.../'],
  ])('written as "%s" is the directory "/%s" for what is in a source', async (dst, prefix) => {
    await using place = await openPlace();
    await writeTree(place.from, { alpha: 'a', 'beta/gamma': 'g' });
    expectOk(await place.copy(['.'], dst));
    const above = prefix.split('/').flatMap((_, i, names) => names.slice(0, i).join('/') || []);
    const below = ['alpha', 'beta', 'beta/gamma'].map((name) => `${prefix}${name}`);
    expect(await tree(place.to)).toEqual([...above, ...below].sort());
    expect(readFileSync(join(place.to, prefix, 'beta/gamma'), 'utf8')).toBe('g');
  });

  it('that is the root cannot become a file, and the message does not name a place of the host', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { a: 'a' });
    await writeTree(place.to, { 'd/e': '' });
    const message = async (dst: string): Promise<string> => expectErr(await place.copy(['a'], dst)).message;
    expect(await message('.')).toBe('cannot put a file in the place of the directory "/"');
    expect(await message('/x/../d')).toBe('cannot put a file in the place of the directory "/d"');
  });

  it('leaves out what "exclude" names, at any depth, but never a named source', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'x/x/y': '1', 'x/z/x': '2', 'x/z/k': '3' });
    expectOk(await place.copy(['x'], '/', { exclude: ['x'] }));
    expect(await tree(place.to)).toEqual(['x', 'x/z', 'x/z/k']);
  });
});

describe('copied files', () => {
  it('get 0755 or 0644, whatever the umask, and the time of their source', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'd/run': '#!', 'd/read': 'x' });
    await chmod(join(place.from, 'd/run'), 0o700);
    await chmod(join(place.from, 'd/read'), 0o600);
    utimesSync(join(place.from, 'd/read'), 1000.5, 1000.25);
    utimesSync(join(place.from, 'd'), 2000, 2000);
    const before = process.umask(0o077);
    expectOk(await place.copy(['d'], '/made/'));
    process.umask(before);
    const mode = (name: string): string => (lstatSync(join(place.to, name)).mode & 0o7777).toString(8);
    expect(['made', 'made/d', 'made/d/run', 'made/d/read'].map(mode)).toEqual(['755', '755', '755', '644']);
    expect(lstatSync(join(place.to, 'made/d/read')).mtimeMs).toBe(1_000_250);
    expect(lstatSync(join(place.to, 'made/d')).mtimeMs).toBe(2_000_000);
  });

  it('keep names of any length and any bytes [K1]', async () => {
    await using place = await openPlace();
    const names = ['n'.repeat(255), 'with\nnewline', ' ', '-rf', 'ünï', '\udcff'.length ? 'tab\t' : ''];
    for (const name of names) await writeFile(join(place.from, name), name);
    const raw = Buffer.concat([Buffer.from(`${place.from}/`), Buffer.from([0xff, 0xfe, 0x41])]);
    writeFileSync(raw, 'raw');
    const deep = Array(30).fill('d'.repeat(100)).join('/');
    await mkdir(join(place.from, deep), { recursive: true });
    expectOk(await place.copy(['.'], '/all'));
    const listed = await readdir(join(place.to, 'all'), { encoding: 'buffer' });
    expect(listed.some((name) => name.equals(Buffer.from([0xff, 0xfe, 0x41])))).toBe(true);
    expect(listed).toHaveLength(names.length + 2);
    expect((await lstat(join(place.to, 'all', deep))).isDirectory()).toBe(true);
  });

  it('links are copied as links, also dangling ones, and never followed [K12]', async () => {
    await using place = await openPlace();
    await symlink('/etc/passwd', join(place.from, 'abs'));
    await symlink('nowhere', join(place.from, 'dangling'));
    expectOk(await place.copy(['abs', 'dangling'], '/l/'));
    expect(readlinkSync(join(place.to, 'l/abs'))).toBe('/etc/passwd');
    expect(readlinkSync(join(place.to, 'l/dangling'))).toBe('nowhere');
  });

  it('large ones arrive whole', async () => {
    await using place = await openPlace();
    const content = Buffer.alloc(5_000_001, 'snapstep');
    await writeFile(join(place.from, 'big'), content);
    expectOk(await place.copy(['big'], '/big'));
    expect((await readFile(join(place.to, 'big'))).equals(content)).toBe(true);
  });

  it('replace files and links, but not a directory', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { a: 'new' });
    await writeTree(place.to, { 'd/a/x': '', f: 'old', target: 'untouched' });
    await symlink('target', join(place.to, 'link'));
    expectOk(await place.copy(['a'], '/f'));
    expectOk(await place.copy(['a'], '/link'));
    expect(readFileSync(join(place.to, 'target'), 'utf8')).toBe('untouched');
    expect(readFileSync(join(place.to, 'link'), 'utf8')).toBe('new');
    expect(expectErr(await place.copy(['a'], '/d/')).message).toContain(
      'cannot put a file in the place of the directory',
    );
  });
});

describe('directories that exist', () => {
  it('keep their mode, owner and times [K3]', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { a: 'a', 'tmp/b': 'b' });
    await mkdir(join(place.to, 'tmp'));
    await chmod(join(place.to, 'tmp'), 0o1777);
    for (const dir of ['', 'tmp']) utimesSync(join(place.to, dir), 500, 500);
    expectOk(await place.copy(['a'], '/tmp/'));
    expectOk(await place.copy(['.'], '/'));
    for (const dir of ['', 'tmp']) expect(lstatSync(join(place.to, dir)).mtimeMs).toBe(500_000);
    expect(lstatSync(join(place.to, 'tmp')).mode & 0o7777).toBe(0o1777);
  });

  it('may be reached through links, which never lead outside [C2] [C16]', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'lib/a': 'a' });
    await mkdir(join(place.to, 'usr/lib'), { recursive: true });
    await symlink('usr/lib', join(place.to, 'lib'));
    await symlink('../../../../../..', join(place.to, 'up'));
    await symlink(join(place.outside, 'from'), join(place.to, 'host'));
    expectOk(await place.copy(['lib'], '/'));
    expectOk(await place.copy(['lib/a'], '/up/b'));
    expectOk(await place.copy(['lib/a'], '/host/c'));
    expect(readFileSync(join(place.to, 'usr/lib/a'), 'utf8')).toBe('a');
    expect(readFileSync(join(place.to, 'b'), 'utf8')).toBe('a');
    expect(await tree(place.outside.concat('/from'))).toEqual(['lib', 'lib/a']);
    expect(readFileSync(join(place.to, place.outside, 'from/c'), 'utf8')).toBe('a');
  });

  it('a link to a directory that is not there makes it, inside', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { a: 'a' });
    await symlink('gone/../new', join(place.to, 'link'));
    expectOk(await place.copy(['a'], '/link/'));
    expect(await tree(place.to)).toEqual(['link', 'new', 'new/a']);
  });

  it('may be reached through links below and to names that are not UTF-8', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'a/f': 'a' });
    const odd = Buffer.from('\xff', 'latin1');
    const inside = (...names: (string | Buffer)[]): Buffer =>
      Buffer.concat(
        [place.to, ...names].flatMap((name, i) => [Buffer.from(i > 0 ? '/' : ''), Buffer.from(name)]),
      );
    for (const root of [place.from, place.to]) mkdirSync(Buffer.concat([Buffer.from(`${root}/`), odd]));
    mkdirSync(inside('target'));
    symlinkSync(odd, inside('to-odd'));
    symlinkSync('../target', inside(odd, 'a'));
    const below = Buffer.concat([Buffer.from(`${place.from}/`), odd, Buffer.from('/a')]);
    mkdirSync(below);
    writeFileSync(Buffer.concat([below, Buffer.from('/g')]), 'g');
    expectOk(await place.copy(['.'], '/'));
    expectOk(await place.copy(['a'], '/to-odd/'));
    expect(readdirSync(place.to, 'latin1').sort()).toEqual(['a', 'target', 'to-odd', '\xff']);
    expect(readdirSync(inside('target')).sort()).toEqual(['f', 'g']);
    expect(readdirSync(inside(odd))).toEqual(['a']);
  });

  it('found through a link that a later source replaces are looked for again', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'one/l/x': '1', 'two/l': 'a file', 'three/l/y': '3' });
    await writeTree(place.to, { 'far/z': '' });
    await symlink('far', join(place.to, 'l'));
    expect(
      expectErr(
        await place.copy(
          ['one', 'two', 'three'].map((name) => `${name}/l`),
          '/',
        ),
      ).message,
    ).toBe('cannot copy below "/l": it is not a directory');
  });

  it('found through a name that was not there, and that a later source makes, are looked for again', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'one/made': 'a file', 'two/f': 'f' });
    await symlink('made/..', join(place.to, 'l'));
    expectOk(await place.copy(['two'], '/l/'));
    expect(readdirSync(place.to).sort()).toEqual(['l', 'two']);
    expect(expectErr(await place.copy(['one/made', 'two'], '/l/')).message).toMatch(
      /made is not a directory/,
    );
  });

  it('a file where a directory should be is an error', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'd/a': 'a' });
    await writeTree(place.to, { d: 'a file' });
    expect(expectErr(await place.copy(['d'], '/')).message).toBe(
      'cannot copy below "/d": it is not a directory',
    );
  });

  it('no tree of links in the destination lets a copy write outside [C19]', async () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const target = fc.array(fc.oneof(name, fc.constant('..')), { minLength: 1, maxLength: 4 });
    const link = fc.record({
      at: fc.array(name, { minLength: 1, maxLength: 3 }),
      to: target,
      absolute: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(link, { maxLength: 6 }),
        fc.array(name, { minLength: 1, maxLength: 3 }),
        async (links, dst) => {
          await using place = await openPlace();
          await writeTree(place.from, { 'a/b/c': 'payload', 'b/a': 'payload' });
          for (const { at, to, absolute } of links) {
            try {
              // Through a link of an earlier round, this test itself would write outside.
              const above = at.slice(0, -1).map((_, i) => join(place.to, ...at.slice(0, i + 1)));
              if (above.some((path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()))
                continue;
              mkdirSync(join(place.to, ...at.slice(0, -1)), { recursive: true });
              symlinkSync((absolute ? '/' : '') + to.join('/'), join(place.to, ...at));
            } catch (error) {
              if (!(error instanceof Error && 'syscall' in error)) throw error; // What is there already stays.
            }
          }
          const before = await tree(place.outside);
          await place.copy(['.'], `/${dst.join('/')}/`);
          const isInside = (path: string): boolean =>
            path === 'to' || path.startsWith('to/') || path.startsWith('state/');
          expect((await tree(place.outside)).filter((path) => !isInside(path))).toEqual(
            before.filter((path) => !isInside(path)),
          );
        },
      ),
      { numRuns: 60, examples: [[[{ at: ['c'], to: ['a', '..'], absolute: false }], ['c', 'c']]] },
    );
  });
});
