import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  runCommand,
  toCacheId,
  toHostPath,
  toStepKey,
  toVolumeName,
  type Volume,
} from '@snapstep/core/backend';
import { expectOk, needs, tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { type CopyMethod, openRsyncStore } from '../src/index.ts';

const rootfs = toVolumeName('rootfs');
const [ONE, TWO] = [toStepKey('1'.repeat(64)), toStepKey('2'.repeat(64))];
const OWNER = { uid: 0, gid: 0 };

needs('root', 'rsync')('a store of directories, on Linux', () => {
  it.each<[method: CopyMethod, name: string, levels: number]>([
    ['copy', 'directory', 5000],
    ['copy', `ä${'\n'}${'x'.repeat(240)}`, 60],
    ['rsync', 'x'.repeat(250), 40],
  ])(
    'keeps trees of any depth in steps and caches: %s %j %d',
    async (method, name, levels) => {
      await using dir = await tempDir();
      await using store = expectOk(
        await openRsyncStore({ path: toHostPath(join(dir.path, 'store')), method }),
      );
      const { signal } = new AbortController();
      {
        await using active = expectOk(await store.prepare({ key: ONE, from: { empty: [rootfs] }, signal }));
        await makeDeep(await pathOf(active.volumes.get(rootfs)), { name, levels });
        expectOk(await active.commit());
      }
      const made = await describe(await pathOf(expectOk(await store.lookup(ONE))?.volumes.get(rootfs)));
      expect(made.split('\n').length).toBeGreaterThan(levels);
      {
        await using active = expectOk(await store.prepare({ key: TWO, from: { snapshot: ONE }, signal }));
        expectOk(await active.commit());
      }
      expect(await describe(await pathOf(expectOk(await store.lookup(TWO))?.volumes.get(rootfs)))).toBe(made);
      for (const key of [TWO, ONE]) expectOk(await store.remove(key));
      if (levels > 100) return;
      const id = toCacheId('apt');
      {
        await using copy = expectOk(await store.caches.checkOut(id, OWNER));
        await makeDeep(await pathOf(copy.volume), { name, levels });
        expectOk(await copy.publish());
      }
      {
        await using copy = expectOk(await store.caches.checkOut(id, OWNER));
        expect((await describe(await pathOf(copy.volume))).split('\n').length).toBe(made.split('\n').length);
      }
      expectOk(await store.caches.remove(id));
    },
    600_000,
  );
});

async function pathOf(volume: Volume | undefined): Promise<string> {
  if (volume === undefined) throw new Error('there is no such volume');
  await using mount = expectOk(await volume.mount());
  return mount.path;
}

/** With a file and an odd mode here and there. */
async function makeDeep(
  path: string,
  { name, levels }: { readonly name: string; readonly levels: number },
): Promise<void> {
  let directory: FileHandle = await open(path);
  for (let level = 0; level < levels; level += 1) {
    await using above = directory;
    const at = `/proc/self/fd/${above.fd}`;
    if (level % 7 === 0) await writeFile(`${at}/file`, `${level}`);
    if (level % 5 === 0) await above.chmod(0o2751);
    await mkdir(`${at}/${name}`);
    directory = await open(`${at}/${name}`);
  }
  await directory.close();
}

async function describe(path: string): Promise<string> {
  const format = '%d %y %m %U:%G %T@ %l\\n';
  return expectOk(await runCommand('find', ['.', '-printf', format], { cwd: path }));
}
