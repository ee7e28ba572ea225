import assert from 'node:assert/strict';
import { chmod, chown, lchown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCacheId } from '../../backend/names.ts';
import { hostTool } from '../host-tool.ts';
import { keepsEqual } from '../promise.ts';
import { attributesOf, giveAttributes } from './attributes.ts';
import { survives } from './content.ts';
import { storePromises as promises, type StorePromise } from './promises.ts';
import { key, mounted, type Scene, type StoreTest } from './scene.ts';

/** `cap_net_raw=ep` as the kernel keeps it: revision 2, effective, bit 13 of the permitted set. */
const NET_RAW = '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0';

/** Attributes, and what only root can make (V8, V11). */
export function specialFileTests(test: StoreTest): void {
  test('keeps extended attributes of files (V11)', async (scene) => {
    const attributes = { 'xattr.user.colour': 'blau' };
    await keepsAttributes(scene, { promise: promises.attributes, attributes });
  });
  test('keeps extended attributes of a directory', async (scene) => {
    const attributes = { 'xattr.user.colour': 'rot' };
    await keepsAttributes(scene, { promise: promises.attributes, attributes, directory: true });
  });
  test('keeps 60 extended attributes of one file', async (scene) => {
    const names = Array.from(
      { length: 60 },
      (_, number) => `xattr.user.name-${`${number}`.padStart(2, '0')}`,
    );
    const attributes = Object.fromEntries(names.map((name) => [name, name.slice(-2)]));
    await keepsAttributes(scene, { promise: promises.attributes, attributes });
  });
  test('keeps extended attributes of the volume itself', async (scene) => {
    const attributes = { 'xattr.user.colour': 'grau' };
    await scene.save(key(1), (path) => giveAttributes(path, { attributes, directory: true }));
    await scene.save(key(2), async () => {}, key(1));
    for (const at of [key(1), key(2)]) {
      keepsEqual(promises.volumeMode, await scene.look(at, attributesOf), attributes);
    }
  });
  test('keeps extended attributes in a cache', async (scene) => {
    const attributes = { 'xattr.user.colour': 'gelb' };
    await scene.publish(toCacheId('apt'), (path) => makeFile(path, { attributes, directory: false }));
    await using copy = await scene.checkOut(toCacheId('apt'));
    const seen = await mounted(copy.volume, (path) => attributesOf(join(path, 'f')));
    keepsEqual(promises.newestCache, seen, attributes);
  });
  test('keeps access control lists', async (scene) => {
    const attributes = { 'acl.access': 'user::rw-,user:70001:r--,group::r--,mask::r--,other::---' };
    await keepsAttributes(scene, { promise: promises.accessLists, attributes });
  });
  rootTests((title, body) => test(title, body, { root: true }));
}

function rootTests(test: (title: string, body: (scene: Scene) => Promise<void>) => void): void {
  test('keeps the default access control list of a directory', async (scene) => {
    const attributes = {
      'acl.access': 'user::rw-,group::r--,other::---',
      'acl.default': 'user::rwx,user:70001:r-x,group::r-x,mask::r-x,other::---',
    };
    await keepsAttributes(scene, { promise: promises.accessLists, attributes, directory: true });
  });
  test('keeps the capabilities of a program', async (scene) => {
    const attributes = { 'xattr.security.capability': NET_RAW };
    await keepsAttributes(scene, { promise: promises.capabilities, attributes });
  });
  test('keeps owners of any number, also of links', (scene) =>
    survives(scene, promises.owners, async (path) => {
      for (const id of [1, 65_534, 65_536, 100_000, 2 ** 31, 2 ** 32 - 2]) {
        await writeFile(join(path, `${id}`), '');
        await chown(join(path, `${id}`), id, id);
        await chmod(join(path, `${id}`), 0o6755);
      }
      await symlink('1', join(path, 'link'));
      await lchown(join(path, 'link'), 70_000, 70_001);
    }));
  test('keeps the owner of the volume itself', (scene) =>
    survives(scene, promises.volumeMode, (path) => chown(path, 70_000, 4)));
  test('keeps device nodes', (scene) =>
    survives(scene, promises.devices, async (path) => {
      await hostTool('mknod', ['-m', '666', join(path, 'null'), 'c', '1', '3']);
      await hostTool('mknod', [join(path, 'loop'), 'b', '7', '200']);
    }));
  test('keeps the device node 0:0, which is a whiteout to overlayfs', (scene) =>
    survives(scene, promises.devices, (path) => hostTool('mknod', [join(path, 'whiteout'), 'c', '0', '0'])));
}

async function keepsAttributes(
  scene: Scene,
  options: {
    readonly promise: StorePromise;
    readonly attributes: Readonly<Record<string, string>>;
    readonly directory?: boolean;
  },
): Promise<void> {
  const { promise, attributes, directory = false } = options;
  await scene.save(key(1), (path) => makeFile(path, { attributes, directory }));
  await scene.save(key(2), async () => {}, key(1));
  for (const at of [key(1), key(2)]) {
    keepsEqual(promise, await scene.look(at, (path) => attributesOf(join(path, 'f'))), attributes);
  }
}

/** Makes a file or a directory `f` that has attributes. */
async function makeFile(path: string, entry: Parameters<typeof giveAttributes>[1]): Promise<void> {
  const file = join(path, 'f');
  await (entry.directory ? mkdir(file) : writeFile(file, 'x'));
  await giveAttributes(file, entry);
  assert.deepEqual(await attributesOf(file), entry.attributes, 'the disk below cannot keep it');
}
