import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { appendFile, chmod, lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyTree } from '../../src/build/copy-tree.ts';
import { toHostPath } from '../../src/index.ts';
import { HashCache } from '../../src/plan/hash-cache.ts';
import { type CopySources, manifestOf } from '../../src/plan/manifest.ts';
import { writeTree } from './world.ts';

const { signal } = new AbortController();
const ME = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

async function openPlace() {
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
      return copyTree({ sources, manifest, root: toHostPath(to), target, owner: ME, hashes, signal });
    },
    [Symbol.asyncDispose]: async () => {
      hashes[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Every path below a directory; `readdir` itself would follow links. */
async function tree(dir: string, prefix = ''): Promise<string[]> {
  const entries = await readdir(join(dir, prefix), { withFileTypes: true });
  const paths = entries.map(async (entry) => {
    const path = join(prefix, entry.name);
    return entry.isDirectory() ? [path, ...(await tree(dir, path))] : [path];
  });
  return (await Promise.all(paths)).flat().sort();
}

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

describe('a source', () => {
  it('that changes between key and copy is an error, not a corrupt result [K5] [K15]', async () => {
    await using place = await openPlace();
    const changes = {
      grows: () => appendFile(join(place.from, 'f'), 'more'),
      shrinks: () => writeFile(join(place.from, 'f'), ''),
      'is rewritten with the same size': () => writeFile(join(place.from, 'f'), 'CONTENT'),
      'gets a neighbour': () => writeFile(join(place.from, 'g'), ''),
      'becomes executable': () => chmod(join(place.from, 'f'), 0o755),
    };
    for (const [what, between] of Object.entries(changes)) {
      await writeTree(place.from, { f: 'content' });
      const error = expectErr(await place.copy(['.'], '/x', { between }));
      expect(error, what).toMatchObject({
        type: 'invalid-source',
        message: expect.stringContaining('changed while'),
      });
      execFileSync('rm', ['-rf', join(place.from, 'g'), join(place.from, 'f'), join(place.to, 'x')]);
    }
  });

  it('has four different errors: missing, through a file, "..", through a link', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'd/f': 'x' });
    await symlink('d', join(place.from, 'l'));
    const message = async (src: string): Promise<string> => expectErr(await place.manifest([src])).message;
    expect(await message('d/g')).toBe('"g" of "d/g" was not found');
    expect(await message('d/f/x')).toBe('"f" of "d/f/x" is not a directory');
    expect(await message('d/../x')).toBe('".." is not allowed in "d/../x"');
    expect(await message('l/f')).toBe('"l" of "l/f" is a symbolic link, which is not followed');
  });

  it('with a socket or a pipe is an error that says what to do [K8]', async () => {
    await using place = await openPlace();
    execFileSync('mkfifo', [join(place.from, 'pipe')]);
    const message = expectErr(await place.manifest(['.'])).message;
    expect(message).toBe('"./pipe" is a named pipe, which cannot be copied; leave it out with "exclude"');
    execFileSync('rm', [join(place.from, 'pipe')]);
    const server = createServer().listen(join(place.from, 'sock'));
    await new Promise((resolve) => server.on('listening', resolve));
    expect(expectErr(await place.manifest(['.'])).message).toContain('is a socket');
    server.close();
  });

  it('that is unchanged is not read again [K7]', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { f: 'content' });
    utimesSync(join(place.from, 'f'), 1, 1);
    await new Promise((resolve) => setTimeout(resolve, 150)); // The hash of a file that changed just now is not kept.
    const first = expectOk(await place.manifest(['f']));
    const opened = place.hashes.find(lstatSync(join(place.from, 'f'), { bigint: true }));
    expect(opened).toMatch(/^[0-9a-f]{64}$/);
    expect(expectOk(await place.manifest(['f']))).toBe(first);
  });
});

needs('root')('as root', () => {
  it('what is new belongs to the user, and nothing else is touched', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'd/f': 'x' });
    const sources: CopySources = { root: toHostPath(place.from), src: ['d'], exclude: [], named: true };
    const manifest = expectOk(await manifestOf(sources, { cache: place.hashes, signal }));
    const owner = { uid: 70_000, gid: 4_000_000_000 };
    const common = { sources, manifest, root: toHostPath(place.to), hashes: place.hashes, signal };
    expectOk(await copyTree({ ...common, target: '/new/', owner }));
    for (const name of ['new', 'new/d', 'new/d/f']) {
      expect(lstatSync(join(place.to, name))).toMatchObject(owner);
    }
    expect(lstatSync(place.to).uid).toBe(0);
  });
});

describe('the place of the sources', () => {
  it('may itself be a link, which is followed', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { f: 'content' });
    await symlink(place.from, join(place.outside, 'current'));
    const sources: CopySources = {
      root: toHostPath(join(place.outside, 'current')),
      src: ['.'],
      exclude: [],
      named: false,
    };
    const manifest = expectOk(await manifestOf(sources, { cache: place.hashes, signal }));
    const common = { sources, manifest, root: toHostPath(place.to), hashes: place.hashes, signal };
    expectOk(await copyTree({ ...common, target: '/app', owner: ME }));
    expect(await tree(place.to)).toEqual(['app', 'app/f']);
  });

  it('with a name that the system refuses is an error of the source', async () => {
    await using place = await openPlace();
    const error = expectErr(await place.manifest(['x'.repeat(300)]));
    expect(error).toMatchObject({
      type: 'invalid-source',
      message: expect.stringContaining('cannot be read'),
    });
  });
});
