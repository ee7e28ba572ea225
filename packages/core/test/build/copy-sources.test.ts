import { execFileSync } from 'node:child_process';
import { lstatSync, utimesSync } from 'node:fs';
import { appendFile, chmod, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expectErr, expectOk, needs } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { copyTree } from '../../src/build/copy-tree.ts';
import { toHostPath } from '../../src/index.ts';
import { type CopySources, manifestOf } from '../../src/plan/manifest.ts';
import { ME, openPlace, signal, tree } from './copy-place.ts';
import { writeTree } from './world.ts';

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
