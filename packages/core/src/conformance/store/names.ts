import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hostTool } from '../host-tool.ts';
import { keepsEqual } from '../promise.ts';
import { survives } from './content.ts';
import { storePromises as promises } from './promises.ts';
import { expectOk, key, type StoreTest, settled, within } from './scene.ts';

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
  test('keeps paths that are longer than a call takes, or refuses to copy them, and removes them', async (scene) => {
    if (process.platform !== 'linux') return;
    await scene.save(key(1), makeBottomless);
    keepsEqual(promises.deepPaths, await scene.look(key(1), depthOf), LEVELS);
    const request = { key: key(2), from: { snapshot: key(1) }, signal: new AbortController().signal };
    const prepared = await settled(scene.store.prepare(request));
    if (prepared.isOk()) {
      await using active = prepared.value;
      keepsEqual(promises.deepPaths, await within(active.volumes, depthOf), LEVELS);
    }
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
    await expectOk(scene.store.remove(key(1)), promises.deepPaths);
    await expectOk(scene.store.reclaimed());
    keepsEqual(promises.removed, await scene.list(), []);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
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

const LEVELS = 30;
const LEVEL = 'x'.repeat(200);

/** 6,000 bytes deep: more than PATH_MAX, so each level is made in the open one above. */
async function makeBottomless(path: string): Promise<void> {
  let directory = await open(path);
  try {
    for (let level = 0; level < LEVELS; level += 1) {
      const below = `/proc/self/fd/${directory.fd}/${LEVEL}`;
      await mkdir(below);
      const next = await open(below);
      await directory.close();
      directory = next;
    }
    await writeFile(`/proc/self/fd/${directory.fd}/end`, '');
  } finally {
    await directory.close();
  }
}

/** How many levels there are above the file `end`. */
async function depthOf(path: string): Promise<number> {
  const found = await hostTool('find', ['.', '-name', 'end', '-printf', '%d\n'], { cwd: path });
  return Number(found) - 1;
}
