import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  exchangeForLink,
  expectErr,
  expectOk,
  tellTries,
  tempDir,
  triesWanted,
} from '@snapstep/test-support';
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

    it('gives nothing from elsewhere, while another thread exchanges it all the time', {
      timeout: 300_000,
    }, async ({ task }) => {
      await using place = await openPlace({ 'd/f': 'mine', 'd/d/f': 'mine', e: '' });
      const aside = join(place.outside, '../aside');
      await using _exchanges = await exchangeForLink(join(place.root, 'd'), { target: place.outside, aside });
      let [made, met, read] = [0, 0, 0];
      for (; made < triesWanted(300, 20_000); made += 1) {
        const contents = place.contents();
        if (contents.includes(SECRET)) read += 1;
        if (contents.length !== 3) met += 1;
        await setImmediate();
      }
      tellTries(task, { what: 'walks through a directory that is exchanged for a link', made, read });
      expect(met).toBeGreaterThan(0);
      expect(read).toBe(0);
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
    /** Of the files that a walk finds, as far as it comes. */
    contents: (): readonly string[] => {
      const found: string[] = [];
      for (const entry of walkSource({ root, exclude: [] }, '.')) {
        if (entry.isErr()) break;
        if (entry.value.kind !== 'file') continue;
        const descriptor = openSeen(entry.value);
        if (descriptor.isErr()) break;
        found.push(readAll(descriptor.value));
      }
      return found;
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
  return readAll(expectOk(openSeen(entry)));
}

function readAll(descriptor: number): string {
  try {
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
