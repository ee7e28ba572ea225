import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import { btrfsVolume, expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBtrfsStore } from '../src/index.ts';

describe('openBtrfsStore on another disk', () => {
  it('says what to do, and makes nothing', async () => {
    await using dir = await tempDir();
    const path = toHostPath(join(dir.path, 'a/b'));
    const error = expectErr(await openBtrfsStore({ path, allowOldKernel: true }));
    expect(error).toMatchObject({ type: 'failed', message: expect.stringContaining('mkfs.btrfs') });
    expect(await readdir(dir.path)).toEqual([]);
  });
});

needs('root', 'btrfs')('openBtrfsStore', () => {
  let disk: Awaited<ReturnType<typeof btrfsVolume>>;
  beforeAll(async () => {
    disk = await btrfsVolume();
  });
  afterAll(() => disk[Symbol.asyncDispose]());

  it('makes the directory', async () => {
    await using store = expectOk(await openBtrfsStore({ path: toHostPath(join(disk.path, 'a/b')) }));
    expect(store.name).toBe('btrfs');
  });
  it('refuses an empty directory that may not become a store: its disk may be missing (P21)', async () => {
    const path = toHostPath(join(disk.path, 'empty'));
    await mkdir(path);
    expect(expectErr(await openBtrfsStore({ path, create: false }))).toMatchObject({
      message: expect.stringContaining('is its disk mounted?'),
    });
    expect(await readdir(path)).toEqual([]);
  });
  it('opens a store that must exist', async () => {
    const path = toHostPath(join(disk.path, 'known'));
    await expectOk(await openBtrfsStore({ path }))[Symbol.asyncDispose]();
    await using store = expectOk(await openBtrfsStore({ path, create: false }));
    expect(expectOk(await store.list())).toEqual([]);
  });
  it('refuses a directory of somebody else, and leaves it as it is', async () => {
    const path = toHostPath(join(disk.path, 'other'));
    await mkdir(join(path, 'result/precious'), { recursive: true });
    await writeFile(join(path, 'result/precious/file'), '');
    expect(expectErr(await openBtrfsStore({ path }))).toMatchObject({
      message: expect.stringContaining('neither a store nor empty'),
    });
    expect(await readdir(path, { recursive: true })).toEqual([
      'result',
      'result/precious',
      'result/precious/file',
    ]);
  });
});
