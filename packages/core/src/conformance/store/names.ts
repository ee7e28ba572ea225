import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { alikeTests } from './alike.ts';
import { survives } from './content.ts';
import { deepTreeTests } from './deep-trees.ts';
import { storePromises as promises } from './promises.ts';
import type { StoreTest } from './scene.ts';

/** Names of every kind. */
export function nameTests(test: StoreTest): void {
  test('keeps names with line ends, blanks, wildcards and leading dashes', (scene) =>
    survives(scene, promises.names, async (path) => {
      for (const name of strangeNames) await writeFile(join(path, name), name);
    }));
  test('keeps names that are not valid UTF-8', (scene) =>
    survives(scene, promises.names, async (path) => {
      const names = [Buffer.from([0xff, 0xfe]), Buffer.from('caf\xe9', 'latin1'), Buffer.from('cafe\u0301')];
      for (const name of names) await writeFile(Buffer.concat([Buffer.from(`${path}/`), name]), 'x');
      await symlink(Buffer.from([0x80, 0x81]), join(path, 'link'));
    }));
  test('keeps names that differ only in case, or in how Unicode composes them', (scene) =>
    survives(scene, promises.names, async (path) => {
      for (const name of ['a', 'A', '\u00e9', 'e\u0301']) await writeFile(join(path, name), name);
    }));
  test('keeps names of 255 bytes', (scene) =>
    survives(scene, promises.longNames, async (path) => {
      await mkdir(join(path, 'd'.repeat(255)));
      await writeFile(join(path, 'd'.repeat(255), 'é'.repeat(127)), 'x');
    }));
  test('keeps paths of 3,000 bytes', (scene) =>
    survives(scene, promises.deepPaths, async (path) => {
      const deep = join(path, ...Array.from({ length: 15 }, (_, level) => `${level}`.padEnd(199, 'x')));
      await mkdir(deep, { recursive: true });
      await writeFile(join(deep, 'f'), 'x');
    }));
  deepTreeTests(test);
  alikeTests(test);
  test('keeps a directory that has nothing in it', (scene) =>
    survives(scene, promises.emptyDirectories, (path) => mkdir(join(path, 'a/b/c'), { recursive: true })));
}

const strangeNames = [
  'new\nline',
  ' blank ',
  '*',
  '-rf',
  '--',
  "it's",
  '"',
  '\\',
  'tab\t',
  '\x01',
  '~',
  '%41',
  '.wh.file',
  '.zfs ',
];
