import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Store } from '../../backend/store.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { storePromises as promises } from '../store/promises.ts';
import { dispose, expectOk, key, mounted } from '../store/scene.ts';
import { group, type TestFunctions } from '../test-functions.ts';
import { cache, dirtName, fileCount, leaf, volumeNames } from './churn.ts';

/** Where a store is killed and opened again. Disposing it takes everything away. */
export interface CrashPlace extends AsyncDisposable {
  /** Starts a process that opens the store here and gives it to `churn`: a program and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** Opens the store here; rejects while another process has it. */
  open(): Promise<Store>;
  /** What lies in the place of a store just opened that is neither a snapshot nor a cache nor the store's own. */
  leftovers(): Promise<readonly string[]>;
}

export interface CrashSuiteOptions {
  readonly place: () => Promise<CrashPlace>;
  /** How often the store is killed in one and the same place. Default: 6. */
  readonly rounds?: number;
}

/** Kills a process that uses a store, at any moment, and checks what the next one finds (X1, P18, V7). */
export function crashSuite(functions: TestFunctions, options: CrashSuiteOptions): void {
  group(functions, 'store: crash', (add) =>
    add('keeps what was reported saved, shows nothing else, and leaves nothing behind', async () => {
      await using place = await options.place();
      const reported = new Reported();
      for (let round = 0; round < (options.rounds ?? 6); round += 1) {
        await killWhileChurning(place, reported);
        await checkPlace(place, reported);
      }
      assert.ok(reported.saved.size >= 1, 'nothing was saved before the kills');
    }),
  );
}

class Reported {
  readonly saved = new Set<number>();
  readonly removed = new Set<number>();
  /** The longest time between two lines so far, in milliseconds: on a slow or busy machine far more than at first. */
  longestGap = 250;
  #last: number | undefined;

  read(line: string): void {
    const [what, number] = line.split(' ');
    assert.ok(what === 'saved' || what === 'removed', `the process said: ${line}`);
    this[what].add(Number(number));
    const now = performance.now();
    if (this.#last !== undefined) this.longestGap = Math.max(this.longestGap, now - this.#last);
    this.#last = now;
  }

  /** The next line is the first one of a process. */
  restart(): void {
    this.#last = undefined;
  }
}

/** Lets the process report once to three times, then kills it at any moment of what it does next. */
async function killWhileChurning(place: CrashPlace, reported: Reported): Promise<void> {
  reported.restart();
  const [file, ...args] = place.command;
  const child: ChildProcess = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  assert.ok(child.stdout);
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => reported.read(line));
  const closed = once(lines, 'close');
  // After a line comes what the next one is about: a save, a removal, or a cache that is published.
  for (let line = Math.floor(Math.random() * 3); line >= 0; line -= 1) {
    await Promise.race([once(lines, 'line'), exited]);
  }
  assert.equal(child.exitCode, null, `the process ended by itself: ${stderr}`);
  try {
    await expectOwned(place);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), Math.random() * reported.longestGap);
  await exited;
  clearTimeout(timer);
  await closed;
  assert.equal(child.signalCode, 'SIGKILL', `the process ended by itself: ${stderr}`);
}

async function expectOwned(place: CrashPlace): Promise<void> {
  const second = await place.open().catch(() => undefined);
  if (second === undefined) return;
  await dispose(second);
  keeps(promises.oneOwner, false, 'it was opened while another process had it open');
}

async function checkPlace(place: CrashPlace, reported: Reported): Promise<void> {
  await using store = await place.open();
  keepsEqual(promises.wiped, await place.leftovers(), []);
  const listed = new Set(await expectOk(store.list()));
  for (const number of reported.saved) {
    keeps(promises.reopened, listed.has(key(number)), `snapshot ${number} was lost`);
  }
  for (const number of reported.removed) {
    keeps(promises.removed, !listed.has(key(number)), `snapshot ${number} is back`);
  }
  for (const saved of listed) await checkSnapshot(store, Number.parseInt(saved, 16));
  await checkCache(store);
  // A leaf whose removal was not reported may be there, whole; it would be in the way of the next round.
  for (const saved of listed) {
    if (Number.parseInt(saved, 16) >= leaf(0)) await expectOk(store.remove(saved));
  }
}

async function checkSnapshot(store: Store, number: number): Promise<void> {
  const snapshot = await expectOk(store.lookup(key(number)));
  keeps(promises.listed, snapshot !== undefined, `snapshot ${number} is listed and cannot be found`);
  keepsEqual(promises.allVolumes, [...snapshot.volumes.keys()].sort(), volumeNames);
  for (const volume of snapshot.volumes.values()) {
    await mounted(volume, async (path) => {
      const dirt = (await readdir(path)).filter((name) => name.startsWith(dirtName));
      keepsEqual(promises.keyAgain, dirt, []);
      const ballast = await readdir(join(path, 'ballast')).catch(() => []);
      keepsEqual(promises.committed, ballast.length, 200);
      keepsEqual(promises.committed, await versions(path), Array(fileCount).fill(`${number}`));
    });
  }
}

/** The old version, the new one, or none. */
async function checkCache(store: Store): Promise<void> {
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  await using copy = await expectOk(store.caches.checkOut(cache, owner));
  const found = await mounted(copy.volume, async (path) =>
    (await readdir(path)).length === 0 ? [] : versions(path),
  );
  keeps(promises.crashedCache, new Set(found).size <= 1, found);
}

function versions(path: string): Promise<string[]> {
  const files = Array.from({ length: fileCount }, (_, file) => join(path, `${file}`));
  return Promise.all(files.map((file) => readFile(file, 'utf8').catch((error) => `${error.code}`)));
}
