import { copyFile, mkdir, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import {
  btrfsVolume,
  expectOk,
  needs,
  tempDir,
  tmpfsVolume,
  unmountEverywhere,
} from '@snapstep/test-support';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { type OciFetcher, openOciFetcher } from '../src/index.ts';
import { AnyName, bytesRead, image, quiet } from './fixtures.ts';

const MIB = 1024 * 1024;

describe('a tarball', () => {
  test('that is unchanged is not read again, by the next fetcher either, with no memory shared through the disk', async () => {
    await using place = await openPlace();
    for (const isRead of [true, false, false]) {
      await using fetcher = await place.open();
      expect(await place.isRead(fetcher)).toBe(isRead);
      expect(await readdir(place.stateDir)).not.toContain('hashes.db-shm');
    }
  });

  test('is remembered in memory by a second fetcher of one directory, and on disk by the first', async () => {
    await using place = await openPlace();
    await using first = await place.open();
    expect(await place.isRead(first)).toBe(true);
    await using second = await place.open();
    for (const isRead of [true, false]) expect(await place.isRead(second)).toBe(isRead);
    expect(await place.isRead(first)).toBe(false);
  });

  const damages: readonly (readonly [string, (file: string) => Promise<unknown>])[] = [
    ['garbled', (file) => writeFile(file, 'this is no database, but long enough to be one'.repeat(100))],
    ['cut off', (file) => truncate(file, 5000)],
    ['empty', (file) => truncate(file, 0)],
    ['gone', (file) => rm(file)],
    ['a directory', (file) => rm(file).then(() => mkdir(join(file, 'in/the/way'), { recursive: true }))],
    ['beside a log that is a directory', (file) => mkdir(`${file}-wal/x`, { recursive: true })],
  ];
  test.each(damages)(
    'is read again where what is remembered is %s, and remembered again (P16)',
    async (_, damage) => {
      await using place = await openPlace();
      {
        await using fetcher = await place.open();
        expect(await place.isRead(fetcher)).toBe(true);
      }
      await damage(join(place.stateDir, 'hashes.db'));
      {
        await using fetcher = await place.open();
        await place.isRead(fetcher);
        expect(await place.isRead(fetcher)).toBe(false);
      }
      await using fetcher = await place.open();
      expect(await place.isRead(fetcher)).toBe(false);
    },
  );
});

needs('root')('a full disk', () => {
  test('keeps a fetcher from remembering, and neither kills the process nor fails a build', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 4 });
    await using place = await openPlace(join(disk.path, 'state'));
    await using fetcher = await place.open();
    const { tree } = place;
    for (let at = 0; at < 200; at += 1) await writeFile(join(tree, `file ${at}`), `${at}`);
    await expect.poll(async () => Date.now() - (await stat(tree)).ctimeMs).toBeGreaterThan(200);
    await execa('dd', ['if=/dev/zero', `of=${disk.path}/full`, 'bs=4k'], { reject: false });
    const digests = new Set<string>();
    for (let round = 0; round < 3; round += 1) digests.add(await pin(fetcher, tree));
    await using second = await place.open();
    digests.add(await pin(second, tree));
    expect(digests.size).toBe(1);
  });
});

/** Clones of a disk that differ in one file, which has the same inode and the same times. */
needs('root')('a file of the same path, inode and times', () => {
  test('on another disk, which is mounted with the same device number, has a digest of its own', async () => {
    await using dir = await tempDir();
    const mount = join(dir.path, 'mnt');
    const [one, two] = [join(dir.path, 'one'), join(dir.path, 'two')];
    await mkdir(mount);
    await execa('truncate', ['-s', '16M', one]);
    await execa('mkfs.ext4', ['-q', one]);
    await attached(one, mount, (root) => writeFile(join(root, 'image.tar'), 'text of one '.repeat(1000)));
    await copyFile(one, two);
    await execa('sed', ['-i', 's/text of one /text of two /g', two]);
    await using fetcher = await openFetcher(join(dir.path, 'state'));
    const [pinned, seen]: [string[], string[]] = [[], []];
    for (const disk of [one, two]) {
      await attached(disk, mount, async (root) => {
        const found = await stat(join(root, 'image.tar'), { bigint: true });
        seen.push([found.dev, found.ino, found.ctimeNs, found.birthtimeNs, found.size].join());
        pinned.push(await pin(fetcher, join(root, 'image.tar')));
        expect(await pin(fetcher, join(root, 'image.tar'))).toBe(pinned.at(-1));
      });
    }
    // Another test may have taken the loop device in between.
    if (seen[0] === seen[1]) expect(pinned[0]).not.toBe(pinned[1]);
  });
});

needs('root', 'btrfs')('a file of the same path, inode and times, on Btrfs', () => {
  test('has a digest of its own in a subvolume that got the device number of a deleted one', async () => {
    await using disk = await btrfsVolume({ sizeMiB: 256 });
    await using dir = await tempDir();
    const at = (name: string) => join(disk.path, name);
    await execa('btrfs', ['subvolume', 'create', at('base')]);
    await writeFile(at('base/file'), '----');
    const current = at('current/file');
    const twins = async () => {
      for (let round = 0; ; round += 1) {
        for (const name of ['one', 'two'])
          await execa('btrfs', ['subvolume', 'snapshot', at('base'), at(name)]);
        // Both in one step of the kernel's clock.
        await Promise.all(
          ['one', 'two'].map((name) => writeFile(at(`${name}/file`), `${name}!`, { flag: 'r+' })),
        );
        const stats = await Promise.all(
          ['one', 'two'].map((name) => stat(at(`${name}/file`), { bigint: true })),
        );
        const times = new Set(stats.flatMap(({ ctimeNs, mtimeNs }) => [ctimeNs, mtimeNs]));
        if (times.size === 1 || round === 100) return times.size === 1;
        for (const name of ['one', 'two']) await execa('btrfs', ['subvolume', 'delete', at(name)]);
      }
    };
    const isTwin = await twins();
    await using fetcher = await openFetcher(join(dir.path, 'state'));
    await expect.poll(async () => Date.now() - (await stat(at('two/file'))).ctimeMs).toBeGreaterThan(200);
    await rename(at('one'), at('current'));
    const one = await pin(fetcher, current);
    await execa('btrfs', ['subvolume', 'delete', '-c', at('current')]);
    await execa('btrfs', ['subvolume', 'sync', disk.path]);
    await execa('btrfs', ['subvolume', 'snapshot', at('two'), at('current')]);
    if (isTwin) expect(await pin(fetcher, current)).not.toBe(one);
  });
});

interface Place extends AsyncDisposable {
  readonly stateDir: string;
  /** An empty directory. */
  readonly tree: string;
  open(): Promise<OciFetcher>;
  /** Whether a tarball of some MiB is read when it is pinned. */
  isRead(fetcher: OciFetcher): Promise<boolean>;
}

async function openPlace(state?: string): Promise<Place> {
  const dir = await tempDir();
  const [tarball, tree] = [join(dir.path, 'image.tar'), join(dir.path, 'tree')];
  const stateDir = state ?? join(dir.path, 'state');
  await mkdir(tree);
  await writeFile(tarball, Buffer.alloc(8 * MIB, 'x'));
  // A change a moment ago might not be the last that its times tell.
  await expect.poll(async () => Date.now() - (await stat(tarball)).ctimeMs).toBeGreaterThan(200);
  return {
    stateDir,
    tree,
    open: () => openFetcher(stateDir),
    isRead: async (fetcher) => (await bytesRead(() => pin(fetcher, tarball))).bytes > 8 * MIB,
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function openFetcher(stateDir: string): Promise<OciFetcher> {
  return expectOk(await openOciFetcher({ stateDir: toHostPath(stateDir), images: new AnyName() }));
}

async function pin(fetcher: OciFetcher, path: string): Promise<string> {
  return expectOk(await fetcher.pin(image(`rootfs:${path}`), quiet())).digest;
}

/** Mounts a disk on the first free loop device meanwhile. */
async function attached(
  disk: string,
  mount: string,
  body: (root: string) => Promise<unknown>,
): Promise<void> {
  await execa('mount', ['-o', 'loop,noatime', disk, mount]);
  try {
    await body(mount);
  } finally {
    await unmountEverywhere(mount);
  }
}
