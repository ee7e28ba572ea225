import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { openRsyncStore } from '../src/index.ts';

describe('openRsyncStore', () => {
  it('makes the directory, and lets no other user of the host into the snapshots', async () => {
    await using dir = await tempDir();
    const path = toHostPath(join(dir.path, 'a/b'));
    await using store = expectOk(await openRsyncStore({ path }));
    expect(store.name).toBe('rsync');
    for (const name of ['result', 'cache', 'temporary']) {
      expect((await stat(join(path, name))).mode & 0o777).toBe(0o700);
    }
  });
  it('makes a store of an empty file system', async () => {
    await using dir = await tempDir();
    await mkdir(join(dir.path, 'lost+found'));
    await using store = expectOk(await openRsyncStore({ path: toHostPath(dir.path) }));
    expect(expectOk(await store.list())).toEqual([]);
  });
  it('goes on where a process died while it made the store', async () => {
    await using dir = await tempDir();
    await writeFile(join(dir.path, 'snapstep-store.json.new'), '{"ki');
    await writeFile(join(dir.path, 'owner.pid'), '1\n');
    await using store = expectOk(await openRsyncStore({ path: toHostPath(dir.path) }));
    expect(expectOk(await store.list())).toEqual([]);
  });
  it('refuses an empty directory that may not become a store: its disk may be missing (P21)', async () => {
    await using dir = await tempDir();
    const path = toHostPath(dir.path);
    const error = expectErr(await openRsyncStore({ path, create: false }));
    expect(error).toMatchObject({ message: expect.stringContaining('is its disk mounted?') });
    expect(await readdir(dir.path)).toEqual([]);
    const missing = toHostPath(join(dir.path, 'missing'));
    expect(expectErr(await openRsyncStore({ path: missing, create: false })).type).toBe('failed');
    expect(await readdir(dir.path)).toEqual([]);
  });
  it('refuses a directory of somebody else, and leaves it as it is', async () => {
    await using dir = await tempDir();
    await mkdir(join(dir.path, 'temporary/precious'), { recursive: true });
    const error = expectErr(await openRsyncStore({ path: toHostPath(dir.path) }));
    expect(error).toMatchObject({ message: expect.stringContaining('neither a store nor empty') });
    expect(await readdir(dir.path, { recursive: true })).toEqual(['temporary', 'temporary/precious']);
  });
  it('refuses the directory of another kind of store', async () => {
    await using dir = await tempDir();
    await writeFile(join(dir.path, 'snapstep-store.json'), '{"kind":"btrfs","format":1}\n');
    const error = expectErr(await openRsyncStore({ path: toHostPath(dir.path) }));
    expect(error).toMatchObject({ message: expect.stringContaining('"btrfs"') });
  });
  it('gives up its ownership when it fails after it has taken it', async () => {
    await using dir = await tempDir();
    const path = toHostPath(join(dir.path, 'store'));
    await expectOk(await openRsyncStore({ path }))[Symbol.asyncDispose]();
    await writeFile(join(path, 'temporary/in the way'), '');
    const before = process.env.PATH;
    process.env.PATH = dir.path;
    const error = expectErr(await openRsyncStore({ path }));
    process.env.PATH = before;
    expect(error).toMatchObject({ message: expect.stringContaining('"rm" is not installed') });
    await using store = expectOk(await openRsyncStore({ path }));
    expect(expectOk(await store.list())).toEqual([]);
  });
});
