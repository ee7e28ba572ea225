import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs, xfsVolume } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { Disk, type FileSystem, mountParts } from './disk.ts';

interface Scene extends AsyncDisposable {
  /** Where the disk is mounted. */
  readonly path: string;
  cut(): Promise<void>;
  /** Where what the cut has left is mounted, in the place of the disk. */
  afterCut(): Promise<string>;
}

async function makeScene(...parts: readonly FileSystem[]): Promise<Scene> {
  await using made = new AsyncDisposableStack();
  const outer = made.use(await xfsVolume());
  const disk = made.use(await Disk.make(join(outer.path, 'disk'), parts));
  const file = join(outer.path, 'cut.img');
  const at = join(outer.path, 'after');
  const all = made.move();
  return {
    path: disk.path,
    cut: () => disk.cut(file),
    async afterCut() {
      await disk[Symbol.asyncDispose]();
      await mountParts({ file, parts, at });
      return at;
    },
    // With the outer disk goes what is mounted below it.
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function writeSynced(path: string, text: string): Promise<void> {
  await using file = await open(path, 'w');
  await file.writeFile(text);
  await file.sync();
}

const FILE_SYSTEMS: readonly FileSystem[] = ['btrfs', 'xfs', 'ext4'];

async function syncNames(path: string): Promise<void> {
  await using directory = await open(path);
  await directory.sync();
}

needs(
  'root',
  'btrfs',
  'xfs',
)('a disk whose power is cut', () => {
  it.each(FILE_SYSTEMS)(
    'with %s keeps what was synced, and loses what was only written',
    async (fileSystem) => {
      await using disk = await makeScene(fileSystem);
      await writeSynced(join(disk.path, '0/synced'), 'whole');
      await writeFile(join(disk.path, '0/written'), 'whole');
      await disk.cut();
      const left = join(await disk.afterCut(), '0');
      expect(await readFile(join(left, 'synced'), 'utf8')).toBe('whole');
      expect(await readdir(left)).not.toContain('written');
    },
  );

  it.each(FILE_SYSTEMS)('with %s may keep the name of a file without its bytes', async (fileSystem) => {
    // On a busy machine the kernel may write the bytes in time.
    await expect.poll(() => leftOfWritten(fileSystem), { interval: 0, timeout: 50_000 }).toBe('');
  });

  it('is cut at the same moment in all of its parts', async () => {
    await using disk = await makeScene('xfs', 'ext4');
    const stop = new AbortController();
    const begun = Promise.withResolvers<void>();
    const counting = (async () => {
      for (let i = 0; !stop.signal.aborted; i += 1) {
        for (const part of [0, 1]) await writeSynced(join(disk.path, `${part}/count-${i}`), '');
        if (i === 10) begun.resolve();
      }
    })();
    await begun.promise;
    await disk.cut();
    stop.abort();
    await counting;
    const left = await disk.afterCut();
    const [first, second] = [await countIn(join(left, '0')), await countIn(join(left, '1'))];
    expect(first).toBeGreaterThan(10);
    expect(first - second).toBeOneOf([0, 1]);
  });
});

/** What a cut leaves of a file that was written, but not synced, where its name and another file were synced. */
async function leftOfWritten(fileSystem: FileSystem): Promise<string> {
  await using disk = await makeScene(fileSystem);
  const directory = join(disk.path, '0/directory');
  await mkdir(directory);
  await writeFile(join(directory, 'written'), 'whole');
  await writeSynced(join(directory, 'synced'), 'whole');
  await syncNames(directory);
  await disk.cut();
  const left = join(await disk.afterCut(), '0/directory');
  expect(await readFile(join(left, 'synced'), 'utf8')).toBe('whole');
  return await readFile(join(left, 'written'), 'utf8');
}

async function countIn(directory: string): Promise<number> {
  return (await readdir(directory)).filter((name) => name.startsWith('count-')).length;
}
