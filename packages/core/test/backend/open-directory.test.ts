import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { OpenDirectory } from '../../src/backend/index.ts';

const SECRET = 'what only root may read';

/** Each exchange is done by hand between two calls, where another process would have to be quick. */
describe.runIf(process.platform === 'linux')('an open directory', () => {
  describe('that is exchanged for a link after it was opened', () => {
    it.each([
      ['at the top', [], ''],
      ['below it', ['a', 'b'], 'a/b'],
      ['above it', ['a', 'b'], 'a'],
    ])('lists and finds what is in itself: %s', async (_, names, exchanged) => {
      await using place = await openPlace();
      using directory = place.open();
      for (const name of names) place.enter(directory, name);
      place.exchange(exchanged);
      expect(place.list(directory)).toEqual(names.length === 0 ? ['a', 'f'] : ['f']);
      expect(place.stat(directory, 'f').size).toBe(BigInt('mine'.length));
      expect(place.read(directory, 'f')).toBe('mine');
      // By its path all of it is elsewhere.
      expect(readFileSync(join(place.root, ...names, 'f'), 'utf8')).toBe(SECRET);
    });

    it('keeps finding only what is in itself where that is taken away', async () => {
      await using place = await openPlace();
      using directory = place.open();
      place.enter(directory, 'a');
      place.exchange('a');
      rmSync(join(place.root, '.was/f'));
      expect(place.list(directory)).toEqual(['b']);
      expect(() => place.stat(directory, 'f')).toThrow('ENOENT');
    });
  });

  it('is none where the top is a link', async () => {
    await using place = await openPlace();
    place.exchange('');
    expect(() => place.open()).toThrow('ENOTDIR');
  });

  describe('enters no directory that was exchanged since the look at it', () => {
    it('for a link', async () => {
      await using place = await openPlace();
      using directory = place.open();
      const seen = place.stat(directory, 'a');
      place.exchange('a');
      expect(() => directory.enter('a', seen)).toThrow('ENOTDIR');
      place.isAtTop(directory);
    });

    it('for another directory', async () => {
      await using place = await openPlace();
      using directory = place.open();
      const seen = place.stat(directory, 'a');
      renameSync(join(place.root, 'a'), join(place.root, '.was'));
      renameSync(place.outside, join(place.root, 'a'));
      expect(directory.enter('a', seen)).toBe(false);
      place.isAtTop(directory);
    });
  });

  describe('leads back, after an exchange,', () => {
    it('to the directories that it came through, though links have their names', async () => {
      await using place = await openPlace();
      using directory = place.open();
      for (const name of ['a', 'b']) place.enter(directory, name);
      place.exchange('a');
      expect(directory.leave(1)).toBe(true);
      expect(place.list(directory)).toEqual(['b', 'f']);
      expect(place.read(directory, 'f')).toBe('mine');
      place.exchange('');
      expect(directory.leave(0)).toBe(true);
      expect(place.read(directory, 'f')).toBe('mine');
      expect(directory.depth).toBe(0);
    });

    it.each([0, 1])('nowhere if it was moved elsewhere: to depth %i', async (depth) => {
      await using place = await openPlace();
      using directory = place.open();
      for (const name of ['a', 'b']) place.enter(directory, name);
      renameSync(join(place.root, 'a/b'), join(place.outside, 'moved'));
      expect(directory.leave(depth)).toBe(false);
      // It has not gone to where it was moved.
      expect(place.read(directory, 'f')).toBe('mine');
    });

    it('no further than to what was moved, between two steps back', async () => {
      await using place = await openPlace();
      using directory = place.open();
      for (const name of ['a', 'b']) place.enter(directory, name);
      expect(directory.leave(1)).toBe(true);
      renameSync(join(place.root, 'a'), join(place.outside, 'moved'));
      expect(directory.leave(0)).toBe(false);
      expect(place.list(directory)).toEqual(['b', 'f']);
    });
  });

  it('costs one descriptor, and none when it was refused or is disposed', async () => {
    await using place = await openPlace();
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    {
      using directory = place.open();
      for (const name of ['a', 'b']) place.enter(directory, name);
      expect(open()).toBe(before + 1);
      renameSync(join(place.root, 'a/b'), join(place.outside, 'moved'));
      expect(directory.leave(0)).toBe(false);
      expect(open()).toBe(before + 1);
    }
    expect(open()).toBe(before);
  });
});

/** The same names in a tree and outside of it: whatever is read by its path after an exchange is the secret. */
async function openPlace() {
  const dir = await tempDir();
  const [root, outside] = [join(dir.path, 'root'), join(dir.path, 'outside')];
  for (const name of ['f', 'a/f', 'a/b/f']) {
    await write(join(root, name), 'mine');
    await write(join(outside, name), SECRET);
    await write(join(outside, 'b/f'), SECRET);
  }
  const stat = (directory: OpenDirectory, name: string) => lstatSync(directory.path(name), { bigint: true });
  const read = (directory: OpenDirectory, name: string) => readFileSync(directory.path(name), 'utf8');
  return {
    ...{ root, outside, stat, read },
    open: () => OpenDirectory.open(root),
    list: (directory: OpenDirectory) => readdirSync(directory.path('.')).sort(),
    enter: (directory: OpenDirectory, name: string) =>
      expect(directory.enter(name, stat(directory, name))).toBe(true),
    /** A link takes the place of a directory; the root, for `''`. */
    exchange: (name: string) => {
      renameSync(join(root, name), join(name === '' ? dir.path : root, '.was'));
      symlinkSync(outside, join(root, name));
    },
    isAtTop: (directory: OpenDirectory) => {
      expect(directory.depth).toBe(0);
      expect(read(directory, 'f')).toBe('mine');
      expect(stat(directory, '.').ino).toBe(lstatSync(root, { bigint: true }).ino);
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
