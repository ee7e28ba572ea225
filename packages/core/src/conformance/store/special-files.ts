import assert from 'node:assert/strict';
import { chmod, chown, lchown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../backend/command.ts';
import { attributesOf, giveAttributes } from './attributes.ts';
import { survives } from './content.ts';
import { expectOk, isRoot, key, type Scene, type StoreTest } from './scene.ts';

/** `cap_net_raw=ep` as the kernel keeps it: revision 2, effective, bit 13 of the permitted set. */
const NET_RAW = '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0';

/** Attributes, and what only root can make (V8, V11). */
export function specialFileTests(test: StoreTest): void {
  test('keeps extended attributes of files and directories', (scene) =>
    keepsAttributes(scene, { 'xattr.user.colour': 'blau' }));
  test('keeps access control lists', (scene) =>
    keepsAttributes(scene, { 'acl.access': 'user::rw-,user:70001:r--,group::r--,mask::r--,other::---' }));
  if (!isRoot) return;
  test('keeps the default access control list of a directory', (scene) =>
    keepsAttributes(
      scene,
      {
        'acl.access': 'user::rw-,group::r--,other::---',
        'acl.default': 'user::rwx,user:70001:r-x,group::r-x,mask::r-x,other::---',
      },
      true,
    ));
  test('keeps the capabilities of a program', (scene) =>
    keepsAttributes(scene, { 'xattr.security.capability': NET_RAW }));
  test('keeps owners of any number, also of links', (scene) =>
    survives(scene, async (path) => {
      for (const id of [1, 65_534, 65_536, 100_000, 2 ** 31, 2 ** 32 - 2]) {
        await writeFile(join(path, `${id}`), '');
        await chown(join(path, `${id}`), id, id);
        await chmod(join(path, `${id}`), 0o6755);
      }
      await symlink('1', join(path, 'link'));
      await lchown(join(path, 'link'), 70_000, 70_001);
      await chown(path, 3, 4);
    }));
  test('keeps device nodes', (scene) =>
    survives(scene, async (path) => {
      await expectOk(runCommand('mknod', ['-m', '666', join(path, 'null'), 'c', '1', '3']));
      await expectOk(runCommand('mknod', [join(path, 'whiteout'), 'c', '0', '0']));
      await expectOk(runCommand('mknod', [join(path, 'loop'), 'b', '7', '200']));
    }));
}

async function keepsAttributes(
  scene: Scene,
  attributes: Readonly<Record<string, string>>,
  directory = false,
): Promise<void> {
  await scene.save(key(1), async (path) => {
    await (directory ? mkdir(join(path, 'f')) : writeFile(join(path, 'f'), 'x'));
    await giveAttributes(join(path, 'f'), { attributes, directory });
    assert.deepEqual(await attributesOf(join(path, 'f')), attributes, 'the disk below cannot keep it');
  });
  await scene.save(key(2), async () => {}, key(1));
  for (const at of [key(1), key(2)]) {
    assert.deepEqual(await scene.look(at, (path) => attributesOf(join(path, 'f'))), attributes);
  }
}
