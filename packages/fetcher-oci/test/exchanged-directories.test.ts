import { readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HashCache, toHostPath } from '@snapstep/core/backend';
import {
  exchangeForLink,
  expectErr,
  expectOk,
  tellTries,
  tempDir,
  triesWanted,
} from '@snapstep/test-support';
import { describe, expect, test } from 'vitest';
import { treeDigest } from '../src/tree-digest.ts';
import { quiet } from './fixtures.ts';

describe.runIf(process.platform === 'linux')(
  'a tree whose directories are exchanged while it is read',
  () => {
    test('has the digest of what was looked at: a link in its place leads nowhere', async () => {
      await using place = await openPlace();
      const before = expectOk(await place.digest());
      const after = await place.digest('d/e', () => {
        renameSync(join(place.root, 'd'), join(place.root, '.was'));
        symlinkSync(place.outside, join(place.root, 'd'));
      });
      expect(expectOk(after).digest).toBe(before.digest);
      expect(place.read).toEqual(['d/e', 'd/f', 'd/sub/g', 'z']);
      expect(expectOk(await place.digest()).digest).not.toBe(before.digest);
    });

    test('has none where the way back leads elsewhere', async () => {
      await using place = await openPlace();
      const digest = await place.digest('d/sub/g', () =>
        renameSync(join(place.root, 'd/sub'), join(place.outside, 'moved')),
      );
      expect(expectErr(digest)).toMatchObject({
        type: 'failed',
        message: `${place.root}/z was changed while it was read`,
      });
    });

    test('never has that of files from elsewhere, while another thread exchanges them all the time', async ({
      task,
    }) => {
      await using place = await openPlace();
      const d = join(place.root, 'd');
      const seen = [expectOk(await place.digest()).digest];
      const away = join(place.outside, '../away');
      renameSync(d, away);
      seen.push(expectOk(await place.digest()).digest);
      symlinkSync(place.outside, d);
      seen.push(expectOk(await place.digest()).digest);
      rmSync(d);
      renameSync(away, d);
      const aside = join(place.outside, '../aside');
      await using _exchanges = await exchangeForLink(d, { target: place.outside, aside });
      let [made, met, read] = [0, 0, 0];
      for (; made < triesWanted(100, 3000); made += 1) {
        const digest = (await place.digest()).map((tree) => tree.digest).unwrapOr('');
        if (digest !== '' && !seen.includes(digest)) read += 1;
        if (digest !== seen[0]) met += 1;
      }
      tellTries(task, { what: 'digests of a tree that is exchanged for a link', made, read });
      expect(met).toBeGreaterThan(0);
      expect(read).toBe(0);
    });

    test('costs as many descriptors as a flat one, and none at the end', async () => {
      await using place = await openPlace();
      const open = (): number => readdirSync('/dev/fd').length;
      const before = open();
      const [deep, flat]: [number[], number[]] = [[], []];
      await place.digest('d/sub/g', () => deep.push(open()));
      await place.digest('z', () => flat.push(open()));
      expect(deep).toEqual(flat);
      expect(open()).toBe(before);
    });
  },
);

async function openPlace() {
  const dir = await tempDir();
  const [root, outside] = [join(dir.path, 'root'), join(dir.path, 'outside')];
  for (const [name, text] of Object.entries({ 'd/e': 'e', 'd/f': 'mine', 'd/sub/g': 'g', z: 'z' })) {
    await write(join(root, name), text);
    await write(join(outside, name), 'what only root may read');
    if (name.startsWith('d/')) await write(join(outside, name.slice(2)), 'what only root may read');
  }
  await mkdir(join(dir.path, 'hashes'));
  const read: string[] = [];
  return {
    root,
    outside,
    /** The files whose content was asked for in the last digest. */
    read,
    /** Does something when a file is about to be read. */
    digest: async (name?: string, exchange?: () => void) => {
      read.length = 0;
      using hashes = HashCache.open(toHostPath(join(dir.path, 'hashes')), { isShared: true });
      const find = hashes.find.bind(hashes);
      hashes.find = (file, stat) => {
        const found = file.slice(file.indexOf(root) + root.length + 1);
        read.push(found);
        if (found === name) exchange?.();
        return find(file, stat);
      };
      return await treeDigest(root, { hashes, signal: quiet() });
    },
    [Symbol.asyncDispose]: async () => dir[Symbol.asyncDispose](),
  };
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
