import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand, toHostPath } from '@snapstep/core/backend';
import { expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { openOverlayfsStore } from '../src/index.ts';
import { mountsIn } from './support/place.ts';
import {
  cache,
  cacheFiles,
  key,
  layersOf,
  look,
  openIn,
  publish,
  recordOf,
  root,
  rootfs,
  save,
  touch,
} from './support/steps.ts';

needs('root')('mounts of the overlayfs store', () => {
  it('are there while somebody leases them, also twice, and not longer', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    const signal = new AbortController().signal;
    await using active = expectOk(await store.prepare({ key: key(0), from: { empty: [rootfs] }, signal }));
    expect(await mountsIn(disk.path)).toEqual([]);
    const volume = active.volumes.get(rootfs);
    const [one, two] = await Promise.all([volume?.mount(), volume?.mount()]);
    expect((await mountsIn(disk.path)).length).toBe(1);
    const leases = [one, two].map((mounted) => expectOk(mounted ?? expect.fail()));
    await touch(leases[0]?.path ?? '', 1);
    await leases[0]?.[Symbol.asyncDispose]();
    await leases[0]?.[Symbol.asyncDispose]();
    expect(await readdir(leases[1]?.path ?? '')).toEqual(['1']);
    await leases[1]?.[Symbol.asyncDispose]();
    expect(await mountsIn(disk.path)).toEqual([]);
  });
  it('go with an attempt that fails while it holds one, and the key builds again (V1)', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    const signal = new AbortController().signal;
    const active = expectOk(await store.prepare({ key: key(0), from: { empty: [rootfs] }, signal }));
    const leaked = expectOk((await active.volumes.get(rootfs)?.mount()) ?? expect.fail());
    await active[Symbol.asyncDispose]();
    expect(await mountsIn(disk.path)).toEqual([]);
    await save(store, 0, (at) => touch(at, 0));
    await leaked[Symbol.asyncDispose]();
    expect(await look(store, 0, (at) => readdir(at))).toEqual(['0']);
    expect((await layersOf(disk)).length).toBe(2);
  });
  it('go with the attempt when somebody works in them', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    const signal = new AbortController().signal;
    const active = expectOk(await store.prepare({ key: key(0), from: { empty: [rootfs] }, signal }));
    const { path } = expectOk((await active.volumes.get(rootfs)?.mount()) ?? expect.fail());
    await using _ = await processIn('sleep', ['1000'], path);
    await active[Symbol.asyncDispose]();
    expect(await mountsIn(disk.path)).toEqual([]);
    await save(store, 0, (at) => touch(at, 0));
  });
  it('may leak into another mount namespace without harm (V12)', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    const script = 'echo ready; exec sleep 1000';
    let leak: AsyncDisposable | undefined;
    await save(store, 0, async (at) => {
      await touch(at, 0);
      leak = await processIn('unshare', ['--mount', 'sh', '-c', script]);
    });
    await using _ = leak ?? expect.fail();
    await save(store, 1, (at) => touch(at, 1));
    expect(await look(store, 1, (at) => readdir(at))).toEqual(['0', '1']);
    for (const number of [1, 0]) expectOk(await store.remove(key(number)));
    expect(await layersOf(disk)).toEqual(['0']);
  });
});

needs('root')('caches of the overlayfs store', () => {
  it('keep what was deleted deleted, over many releases (V4)', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    await publish(store, async (at) => {
      await mkdir(join(at, 'dir'));
      await writeFile(join(at, 'dir/old'), '');
      await writeFile(join(at, 'gone'), '');
    });
    await publish(store, async (at) => {
      for (const name of ['dir', 'gone']) await rm(join(at, name), { recursive: true });
      await mkdir(join(at, 'dir'));
      await writeFile(join(at, 'dir/new'), '');
    });
    expect(await cacheFiles(store)).toEqual(['dir', 'dir/new']);
    for (let number = 0; number < 20; number += 1) await publish(store, (at) => touch(at, number));
    expect((await cacheFiles(store)).slice(-2)).toEqual(['dir', 'dir/new']);
    expect((await cacheFiles(store)).length).toBe(22);
    expect((await layersOf(disk)).length).toBeLessThanOrEqual(9);
  });
  it('know exactly whether a copy was changed', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    await publish(store, (at) => touch(at, 1));
    await using copy = expectOk(await store.caches.checkOut(cache, root));
    await using mounted = expectOk(await copy.volume.mount());
    await readFile(join(mounted.path, '1'));
    expect(expectOk(await copy.changed())).toBe(false);
    await appendFile(join(mounted.path, '1'), 'more');
    expect(expectOk(await copy.changed())).toBe(true);
  });
});

needs('root')('opening the overlayfs store', () => {
  it('says what is wrong where the disk is an overlay itself (V3)', async () => {
    await using disk = await tempDir();
    for (const name of ['l', 'u', 'w', 'm']) await mkdir(join(disk.path, name));
    const options = 'lowerdir=l,upperdir=u,workdir=w';
    expectOk(await runCommand('mount', ['-t', 'overlay', '-o', options, 'overlay', 'm'], { cwd: disk.path }));
    try {
      const error = expectErr(await openOverlayfsStore({ path: toHostPath(join(disk.path, 'm/store')) }));
      expect(error).toMatchObject({
        type: 'failed',
        message: expect.stringContaining('is often an overlay itself'),
      });
      expect(await mountsIn(disk.path)).toEqual([join(disk.path, 'm')]);
    } finally {
      expectOk(await runCommand('umount', [join(disk.path, 'm')]));
    }
  });
  it('forgets a record that was cut short, or that names a layer which is gone', async () => {
    await using disk = await tempDir();
    {
      await using store = await openIn(disk);
      for (let number = 0; number < 3; number += 1) await save(store, number, (at) => touch(at, number));
    }
    const path = join(disk.path, 'store');
    await writeFile(join(path, 'snapshots', key(1)), '{"roo');
    const [top = ''] = await recordOf(disk, 2);
    await rm(join(path, 'layers', top), { recursive: true });
    await using store = await openIn(disk);
    expect(expectOk(await store.list())).toEqual([key(0)]);
    expect((await layersOf(disk)).length).toBe(2);
  });
  it('refuses a number of layers that the kernel would refuse later', async () => {
    await using disk = await tempDir();
    await expect(openIn(disk, { maxLayers: 501 })).rejects.toThrow(RangeError);
  });
});

/** A process that has started, or, of a script, has printed its first line. */
async function processIn(file: string, args: readonly string[], cwd?: string): Promise<AsyncDisposable> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'], ...(cwd ? { cwd } : {}) });
  const exited = once(child, 'exit');
  await (file === 'unshare' ? once(child.stdout, 'data') : once(child, 'spawn'));
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
