import { execFileSync } from 'node:child_process';
import { chownSync, lstatSync, utimesSync } from 'node:fs';
import { appendFile, chmod, open, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expectErr, expectOk, needs } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { FileIdentities } from '../../src/backend/index.ts';
import { copyTree } from '../../src/build/copy-tree.ts';
import { toHostPath } from '../../src/index.ts';
import { hostFiles } from '../../src/plan/file-names.ts';
import { type CopySources, manifestOf } from '../../src/plan/manifest.ts';
import { toTreePath } from '../../src/plan/tree-path.ts';
import { ME, openPlace, signal, tree } from './copy-place.ts';
import { writeTree } from './world.ts';

/** So much that a copy of it gives others their turn many times. */
const SIZE = 128 * 1024 * 1024;

describe('a source', () => {
  it('that changes between key and copy is an error, not a corrupt result [K5] [K15]', async () => {
    await using place = await openPlace();
    const changes = {
      grows: () => appendFile(join(place.from, 'f'), 'more'),
      shrinks: () => writeFile(join(place.from, 'f'), ''),
      'is rewritten with the same size': () => writeFile(join(place.from, 'f'), 'CONTENT'),
      'gets a neighbour': () => writeFile(join(place.from, 'g'), ''),
      'becomes executable': () => chmod(join(place.from, 'f'), 0o755),
      'becomes a link to the same content': async () => {
        await rename(join(place.from, 'f'), join(place.outside, 'moved'));
        await symlink(join(place.outside, 'moved'), join(place.from, 'f'));
      },
      'is in a directory that becomes a link': async () => {
        await rename(join(place.from, 'd'), join(place.outside, 'moved-d'));
        await symlink(join(place.outside, 'moved-d'), join(place.from, 'd'));
      },
      'goes away': () => rm(join(place.from, 'd/f')),
    };
    for (const [what, between] of Object.entries(changes)) {
      await writeTree(place.from, { f: 'content', 'd/f': 'content' });
      const error = expectErr(await place.copy(['.'], '/x', { between }));
      expect(error, what).toMatchObject({
        type: 'invalid-source',
        message: expect.stringContaining('changed while'),
      });
      for (const name of ['f', 'g', 'd']) await rm(join(place.from, name), { recursive: true, force: true });
      await rm(join(place.to, 'x'), { recursive: true });
    }
  });

  it.each<readonly [what: string, change: (file: string) => Promise<unknown>]>([
    ['grows', (file) => appendFile(file, 'more')],
    ['shrinks', (file) => truncate(file, 10)],
    ['is replaced', (file) => writeFile(`${file}.new`, 'x').then(() => rename(`${file}.new`, file))],
    ['gets other bytes in the place of those that were read', (file) => writeAt(file, 0)],
    ['gets other bytes in the place of those to be read', (file) => writeAt(file, SIZE - 1)],
  ])('that %s in the middle of the copy is an error [K5] [K15]', async (_, change) => {
    await using place = await openPlace();
    const file = join(place.from, 'f');
    await writeFile(file, Buffer.alloc(SIZE, 'x'));
    const copying = place.copy(['f'], '/x');
    await begun(join(place.to, 'x'));
    await change(file);
    expect(expectErr(await copying)).toMatchObject({
      type: 'invalid-source',
      message: expect.stringContaining('changed while'),
    });
  });

  it('is the same in any way to write its path [K2]', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'd/f': 'content' });
    const ways = ['d/f', './d/f', '/d/f', 'd//f', 'd/./f', './/./d/f'];
    const manifests = await Promise.all(ways.map(async (way) => expectOk(await place.manifest([way]))));
    expect(new Set(manifests).size).toBe(1);
    for (const [i, way] of ways.entries()) expectOk(await place.copy([way], `/${i}/`));
    expect(await tree(place.to)).toEqual(ways.flatMap((_, i) => [`${i}`, `${i}/f`]));
  });

  it('counts a link by its text, and not by what it leads to [K10]', async () => {
    await using place = await openPlace();
    await writeTree(place.outside, { 'elsewhere/f': 'before' });
    await symlink('../elsewhere', join(place.from, 'l'));
    const manifest = async (): Promise<string> => expectOk(await place.manifest(['.']));
    const first = await manifest();
    await writeTree(place.outside, { 'elsewhere/f': 'after', 'elsewhere/more': '' });
    expect(await manifest()).toBe(first);
    await rm(join(place.from, 'l'));
    await symlink('../elsewhere/', join(place.from, 'l'));
    expect(await manifest()).not.toBe(first);
  });

  it('has one digest for the same files, by whichever sources they are named [K10]', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'd/a': 'a', 'd/b': 'b', 'd/left': '' });
    await writeTree(place.from, { 'e/d/b': 'b', 'e/d/a': 'a' });
    const digest = async (src: string, exclude: string[] = []): Promise<string> => {
      const sources: CopySources = {
        root: toHostPath(place.from),
        src: [src],
        exclude,
        named: true,
        names: hostFiles(),
      };
      return expectOk(await manifestOf(sources, { cache: place.hashes, signal }));
    };
    expect(await digest('d', ['left'])).toBe(await digest('e/d'));
    expect(await digest('d')).not.toBe(await digest('e/d'));
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
    const stat = lstatSync(join(place.from, 'f'), { bigint: true });
    const name = `host/${new FileIdentities().of(stat, Buffer.from(join(place.from, 'f')))}`;
    const manifest = async (): Promise<string> => expectOk(await place.manifest(['f']));
    // The hash of a file that changed just now is not kept.
    const known = async (): Promise<string | undefined> => {
      await manifest();
      return place.hashes.find(name, stat);
    };
    await expect.poll(known).toMatch(/^[0-9a-f]{64}$/);
    const first = await manifest();
    expect(await manifest()).toBe(first);
    place.hashes.remember(name, { stat, sha256: '0'.repeat(64), readAt: Date.now() });
    place.hashes.flush();
    expect(await manifest()).not.toBe(first);
  });
});

needs('root')('as root', () => {
  it('what is new belongs to the user, and nothing else is touched', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'd/f': 'x' });
    const sources: CopySources = {
      root: toHostPath(place.from),
      src: ['d'],
      exclude: [],
      named: true,
      names: hostFiles(),
    };
    const manifest = expectOk(await manifestOf(sources, { cache: place.hashes, signal }));
    const owner = { uid: 70_000, gid: 4_000_000_000 };
    const common = { sources, manifest, root: toHostPath(place.to), hashes: place.hashes, signal };
    expectOk(await copyTree({ ...common, target: toTreePath('/new/'), owner }));
    for (const name of ['new', 'new/d', 'new/d/f']) {
      expect(lstatSync(join(place.to, name))).toMatchObject(owner);
    }
    expect(lstatSync(place.to).uid).toBe(0);
  });

  it('directories that exist keep their owner, also those that are copied themselves [K3]', async () => {
    await using place = await openPlace();
    await writeTree(place.from, { 'd/f': 'x' });
    await writeTree(place.to, { 'top/d/old': '' });
    for (const [i, name] of ['top', 'top/d'].entries()) chownSync(join(place.to, name), 5 + i, 15 + i);
    const sources: CopySources = {
      root: toHostPath(place.from),
      src: ['d'],
      exclude: [],
      named: true,
      names: hostFiles(),
    };
    const manifest = expectOk(await manifestOf(sources, { cache: place.hashes, signal }));
    const common = { sources, manifest, root: toHostPath(place.to), hashes: place.hashes, signal };
    expectOk(await copyTree({ ...common, target: toTreePath('/top/'), owner: { uid: 70_000, gid: 70_001 } }));
    expect(lstatSync(join(place.to, 'top'))).toMatchObject({ uid: 5, gid: 15 });
    expect(lstatSync(join(place.to, 'top/d'))).toMatchObject({ uid: 6, gid: 16 });
    expect(lstatSync(join(place.to, 'top/d/f'))).toMatchObject({ uid: 70_000, gid: 70_001 });
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
      names: hostFiles(),
    };
    const manifest = expectOk(await manifestOf(sources, { cache: place.hashes, signal }));
    const common = { sources, manifest, root: toHostPath(place.to), hashes: place.hashes, signal };
    expectOk(await copyTree({ ...common, target: toTreePath('/app'), owner: ME }));
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

/** Settles when some of a file was copied. The copier has a turn after each look. */
async function begun(path: string): Promise<void> {
  for (;;) {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.size > 0) {
      expect(found.size, 'the copy was over before anything could change').toBeLessThan(SIZE);
      return;
    }
    await setImmediate();
  }
}

async function writeAt(path: string, position: number): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write('y', position);
}
