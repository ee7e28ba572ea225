import { type FileHandle, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { toCacheId } from '../../backend/names.ts';
import { hostTool } from '../host-tool.ts';
import { keepsEqual } from '../promise.ts';
import { storePromises as promises } from './promises.ts';
import { expectOk, key, mounted, type StoreTest } from './scene.ts';

/** More than a path of a system call may have. */
const BYTES = 6000;
const apt = toCacheId('apt');

/** Trees that no program can name by whole paths, which system calls take only some thousand bytes of. */
export function deepTreeTests(test: StoreTest): void {
  test('keeps 1,000 directories in one another', async (scene) => {
    if (process.platform !== 'linux') return;
    const levels = scene.scaled(1000, 100);
    await scene.save(key(1), (path) => makeDeep(path, levels));
    const made = await scene.look(key(1), describeDeep);
    keepsEqual(promises.deepPaths, made.length, levels + 2);
    await scene.save(key(2), async () => {}, key(1));
    keepsEqual(promises.deepPaths, await scene.look(key(2), describeDeep), made);
    keepsEqual(promises.deepPaths, await scene.look(key(2), (path) => readBottom(path, levels)), 'deep');
    for (const at of [key(2), key(1)]) await expectOk(scene.store.remove(at), promises.deepPaths);
    await expectOk(scene.store.reclaimed());
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('keeps paths of 6,000 bytes in a cache', async (scene) => {
    if (process.platform !== 'linux') return;
    await scene.publish(apt, (path) => makeDeep(path, 60));
    {
      await using copy = await scene.checkOut(apt);
      const made = await mounted(copy.volume, describeDeep);
      keepsEqual(promises.newestCache, made.length, 62);
      await expectOk(copy.publish());
      await using next = await scene.checkOut(apt);
      keepsEqual(promises.newestCache, await mounted(next.volume, describeDeep), made);
      keepsEqual(promises.newestCache, await mounted(next.volume, (path) => readBottom(path, 60)), 'deep');
    }
    await expectOk(scene.store.caches.remove(apt), promises.deepPaths);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
}

/** Each level is made in the open one above. All together they have a path of {@link BYTES} bytes or more. */
export async function makeDeep(path: string, levels: number): Promise<void> {
  const bottom = await descend(path, { levels, enter: (below) => mkdir(below) });
  await using directory = bottom;
  await writeFile(`/proc/self/fd/${directory.fd}/end`, 'deep');
}

async function readBottom(path: string, levels: number): Promise<string> {
  const bottom = await descend(path, { levels, enter: async () => {} });
  await using directory = bottom;
  return await readFile(`/proc/self/fd/${directory.fd}/end`, 'utf8');
}

/** @param enter - Called with a path of each level before it is opened. */
async function descend(
  path: string,
  { levels, enter }: { readonly levels: number; readonly enter: (below: string) => Promise<unknown> },
): Promise<FileHandle> {
  const name = 'x'.repeat(Math.ceil(BYTES / levels));
  let directory = await open(path);
  for (let level = 0; level < levels; level += 1) {
    await using above = directory;
    const below = `/proc/self/fd/${above.fd}/${name}`;
    await enter(below);
    directory = await open(below);
  }
  return directory;
}

/** A line for each level: its depth, kind, mode, owner and time. */
export async function describeDeep(path: string): Promise<readonly string[]> {
  const text = await hostTool('find', ['.', '-printf', '%d %y %m %U:%G %T@\\n'], { cwd: path });
  // A copy may have its names in another order.
  return text.split('\n').slice(0, -1).sort();
}
