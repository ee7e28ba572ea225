import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { toHostPath } from '../../src/index.ts';
import type { IgnoreFile } from '../../src/plan/ignore-files.ts';
import { openSeen } from '../../src/plan/manifest.ts';
import { type SourceEntry, walkSource } from '../../src/plan/source-walk.ts';
import { writeTree } from '../build/world.ts';

const SECRET = 'what only root may read';

describe.runIf(process.platform === 'linux')(
  'a directory that is exchanged for a link while it is walked through',
  () => {
    it('leads nowhere, once it was looked at', async () => {
      await using place = await openPlace({ 'd/f': 'mine', e: '' });
      const read: string[] = [];
      for (const entry of place.walk('.')) {
        if (entry.path === 'd') await place.exchange('d');
        if (entry.kind === 'file') read.push(`${entry.path}: ${contentOf(entry)}`);
      }
      expect(read).toEqual(['d/f: mine', 'e: ']);
    });

    it('leads nowhere on the way to the source', async () => {
      await using place = await openPlace({ 'a/d/f': 'mine' });
      const walk = place.walk('a/d/f');
      const { value } = walk.next();
      await place.exchange('a');
      expect(contentOf(value as SourceEntry)).toBe('mine');
      walk.return(undefined);
    });

    it('is an error where it was a link before it was entered', async () => {
      await using place = await openPlace({ 'a/f': '', 'd/f': 'mine' });
      const walk = walkSource({ root: place.root, exclude: [] }, '.');
      // The root, and the file in the directory before it.
      for (let i = 0; i < 3; i += 1) expectOk(walk.next().value);
      await place.exchange('d');
      expect(expectOk(walk.next().value)).toMatchObject({ kind: 'link', path: 'd' });
      expect(walk.next().done).toBe(true);
    });

    it('gives no ignore file from elsewhere', async () => {
      await using place = await openPlace({ 'd/.gitignore': '', 'd/f': 'mine' }, ['.gitignore']);
      await writeFile(join(place.outside, '.gitignore'), 'f');
      const seen: string[] = [];
      for (const { path } of place.walk('.')) {
        seen.push(path);
        if (path === '') await place.exchange('d');
      }
      // It is a link by then.
      expect(seen).toEqual(['', 'd']);
    });

    it('is an error where what is in it is moved elsewhere, and the way back with it', async () => {
      await using place = await openPlace({ 'd/e/f': '', z: '' });
      const walk = walkSource({ root: place.root, exclude: [] }, '.');
      for (let i = 0; i < 4; i += 1) expectOk(walk.next().value);
      await rename(join(place.root, 'd/e'), join(place.outside, 'e'));
      expect(expectErr(walk.next().value)).toMatchObject({
        type: 'invalid-source',
        message: '"./z" changed while it was read',
      });
    });

    it('costs one open file, however deep it is, and none at the end', async () => {
      const deep = Array.from({ length: 300 }, () => 'd').join('/');
      await using place = await openPlace({ [`${deep}/f`]: '', 'z/f': '' });
      const before = readdirSync('/dev/fd').length;
      let most = 0;
      for (const _ of place.walk('.')) most = Math.max(most, readdirSync('/dev/fd').length - before);
      expect(most).toBe(1);
      for (const _ of place.walk('.')) break;
      expect(readdirSync('/dev/fd').length).toBe(before);
    });
  },
);

async function openPlace(files: Readonly<Record<string, string>>, ignore: readonly IgnoreFile[] = []) {
  const dir = await tempDir();
  const [root, outside] = [toHostPath(join(dir.path, 'context')), join(dir.path, 'outside')];
  await mkdir(root);
  await writeTree(root, files);
  await writeTree(outside, { f: SECRET, 'd/f': SECRET });
  return {
    root,
    outside,
    *walk(source: string): Generator<SourceEntry, undefined> {
      for (const entry of walkSource({ root, exclude: [], ignore }, source)) yield expectOk(entry);
      return undefined;
    },
    /** A link takes the place of a directory. */
    exchange: async (name: string) => {
      await rename(join(root, name), join(root, '.was'));
      await symlink(outside, join(root, name));
    },
    [Symbol.asyncDispose]: async () => dir[Symbol.asyncDispose](),
  };
}

function contentOf(entry: SourceEntry): string {
  const descriptor = expectOk(openSeen(entry));
  try {
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
