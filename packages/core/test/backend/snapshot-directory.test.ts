import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, needs, tempDir, tmpfsVolume } from '@snapstep/test-support';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import {
  copyTree,
  ok,
  removeTree,
  SnapshotDirectory,
  toVolumeName,
  Workspace,
} from '../../src/backend/index.ts';
import { key } from '../cache/keys.ts';

const ROOTFS = toVolumeName('rootfs');

describe('a directory of snapshots', () => {
  it('that somebody took away holds none, and is there again with the next one', async () => {
    await using place = await openPlace();
    await rm(place.snapshots.path, { recursive: true });
    expect(expectOk(await place.snapshots.list())).toEqual([]);
    expect(expectOk(await place.snapshots.lookup(key(1)))).toBeUndefined();
    await place.save(2);
    expect(expectOk(await place.snapshots.list())).toEqual([key(2)]);
  });

  it.each<readonly [what: string, harm: (rootfs: string) => Promise<unknown>]>([
    ['gone', (rootfs) => rm(rootfs, { recursive: true })],
    ['a file', (rootfs) => rename(rootfs, `${rootfs}.old`).then(() => writeFile(rootfs, ''))],
    ['a link', (rootfs) => rename(rootfs, `${rootfs}.old`).then(() => symlink('/', rootfs))],
  ])('has no snapshot whose only volume is %s', async (_, harm) => {
    await using place = await openPlace();
    await harm(join(place.snapshots.pathOf(key(1)), 'rootfs'));
    expect(expectOk(await place.snapshots.lookup(key(1)))).toBeUndefined();
    const from = { snapshot: key(1) };
    const filled = await place.snapshots.fill(place.draft(2), from, { copy: async () => ok() });
    expect(expectErr(filled)).toMatchObject({ type: 'not-found', key: key(1) });
    await place.save(1);
    expect(expectOk(await place.snapshots.lookup(key(1)))?.volumes.size).toBe(1);
  });
});

needs('root')('a disk that is unmounted under a store', () => {
  it('has not lost its snapshots, and nothing is made where it was', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 10 });
    await using place = await openPlace(disk);
    const workspace = new Workspace({ path: join(disk.path, 'work') });
    expectOk(await workspace.open());
    await execa('umount', ['--lazy', disk.path]);
    expect(expectErr(await place.snapshots.lookup(key(1)))).toMatchObject({
      message: `the disk of ${place.snapshots.path} is not mounted any more`,
    });
    expectErr(await place.snapshots.list());
    expectOk(await place.snapshots.haveDirectory());
    workspace.fresh();
    expect(await readdir(disk.path)).toEqual([]);
  });
});

/** With one snapshot, of key 1. */
async function openPlace(at?: { readonly path: string } & AsyncDisposable) {
  const dir = at ?? (await tempDir());
  const snapshots = new SnapshotDirectory(join(dir.path, 'result'));
  await mkdir(snapshots.path);
  let drafts = 0;
  const place = {
    snapshots,
    draft: (number: number) => join(dir.path, `${number}-${drafts++}`),
    save: async (number: number): Promise<void> => {
      const path = place.draft(number);
      expectOk(await snapshots.fill(path, { empty: [ROOTFS] }, { copy: copyTree }));
      const draft = { key: key(number), path, discard: removeTree };
      expectOk(await expectOk(await snapshots.activate(draft)).commit());
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
  await place.save(1);
  return place;
}
