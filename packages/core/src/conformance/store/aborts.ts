import { mkdir, writeFile } from 'node:fs/promises';
import type { Result } from 'neverthrow';
import type { Outcome, StoreError } from '../../backend/failures.ts';
import { keeps, keepsCancelled, keepsEqual } from '../promise.ts';
import { runningProcesses } from '../running-processes.ts';
import { describeDeep, makeDeep } from './deep-trees.ts';
import { writeA, writeB } from './lifecycle.ts';
import { storePromises as promises } from './promises.ts';
import {
  bounded,
  dispose,
  expectOk,
  key,
  rootfs,
  type Scene,
  type StoreTest,
  settled,
  within,
} from './scene.ts';

/** How many turns a call is given first, then how many parts of the time that it takes whole. */
const TURNS = 8;
const PARTS = 12;

/** A call that is aborted, at every moment of it. */
export function abortTests(test: StoreTest): void {
  test('answers an abort before the call with `cancelled`, and does nothing', async (scene) => {
    await scene.save(key(1), writeA);
    const reason = { why: 'before' };
    const from = { snapshot: key(1) } as const;
    const prepared = await settled(
      scene.store.prepare({ key: key(2), from, signal: AbortSignal.abort(reason) }),
    );
    if (prepared.isOk()) await dispose(prepared.value);
    const answer = prepared.isErr() ? prepared.error : 'it was prepared';
    keepsCancelled(promises.cancelled, answer, reason);
    keepsEqual(promises.abortedPrepare, await scene.list(), [key(1)]);
  });
  test('leaves nothing of a prepare that was aborted, at any moment', async (scene) => {
    await scene.save(key(1), manyFiles);
    await atEveryMoment(scene, (abort) => abortedPrepare(scene, abort));
    await scene.save(key(2), writeB, key(1));
  });
  test('leaves nothing of a prepare of a deep tree that was aborted, at any moment', async (scene) => {
    if (process.platform !== 'linux') return;
    await scene.save(key(1), (path) => makeDeep(path, 60));
    await atEveryMoment(scene, (abort) => abortedPrepare(scene, abort), { turns: 1, parts: 3 });
    await scene.save(key(2), writeB, key(1));
    for (const at of [key(2), key(1)]) await expectOk(scene.store.remove(at), promises.removed);
    await expectOk(scene.store.reclaimed());
  });
  test('leaves nothing of an empty prepare that was aborted, at any moment', async (scene) => {
    await atEveryMoment(scene, (abort) => abortedPrepare(scene, abort, true));
  });
  test('has a snapshot whole, or not at all, whose removal was aborted, at any moment (Z16)', async (scene) => {
    await scene.save(key(1), manyFiles);
    const whole = await scene.tree(key(1));
    await atEveryMoment(scene, async (abort) => {
      if ((await scene.lookup(key(2))) === undefined) await scene.save(key(2), async () => {}, key(1));
      const removed = await abort.during(() => scene.store.remove(key(2), abort.signal));
      const isThere = (await scene.lookup(key(2))) !== undefined;
      keepsEqual(promises.abortedRemove, (await scene.list()).includes(key(2)), isThere);
      if (isThere) keepsEqual(promises.abortedRemove, await scene.tree(key(2)), whole);
      if (removed.isOk()) keeps(promises.removed, !isThere, 'its removal succeeded, and it is there');
    });
    keepsEqual(promises.abortedRemove, await scene.tree(key(1)), whole);
  });
}

/** A signal that is aborted on the way of one call. */
class Abort {
  readonly reason: Error = new Error('enough');
  /** How long the call took. */
  milliseconds = 0;
  readonly #controller = new AbortController();
  readonly #arrange: (abort: () => void) => void;

  constructor(arrange: (abort: () => void) => void) {
    this.#arrange = arrange;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Waits for the end of a call, within a bound, and for all that it started. */
  async during<T>(call: () => Outcome<T, StoreError>): Promise<Result<T, StoreError>> {
    const others = await runningProcesses();
    const started = performance.now();
    this.#arrange(() => this.#controller.abort(this.reason));
    const result = await bounded(settled(call()));
    this.milliseconds = performance.now() - started;
    const own = [...(await runningProcesses())].filter(([pid]) => !others.has(pid));
    keepsEqual(
      promises.quiet,
      own.map(([, line]) => line),
      [],
    );
    if (result.isOk()) return result;
    keepsCancelled(promises.cancelled, result.error, this.reason);
    keeps(promises.cancelled, this.signal.aborted, 'it was not aborted');
    return result;
  }
}

async function abortedPrepare(scene: Scene, abort: Abort, isEmpty = false): Promise<void> {
  const before = await scene.list();
  const mounts = await scene.mounts();
  const from = isEmpty ? { empty: [rootfs] } : { snapshot: key(1) };
  const request = { key: key(2), from, signal: abort.signal };
  const prepared = await abort.during(() => scene.store.prepare(request));
  if (prepared.isOk()) {
    const whole = isEmpty ? [] : await scene.look(key(1), describeDeep);
    const made = isEmpty ? [] : await within(prepared.value.volumes, describeDeep);
    keepsEqual(promises.abortedWhole, made, whole);
    await dispose(prepared.value);
  }
  keepsEqual(promises.abortedPrepare, await scene.list(), before);
  keepsEqual(promises.abortedPrepare, await scene.leftovers(), []);
  keepsEqual(promises.leasedMounts, await scene.mounts(), mounts);
}

/** Calls `attempt` with signals that abort after one turn, after two, and so on; then later and later. */
async function atEveryMoment(
  scene: Scene,
  attempt: (abort: Abort) => Promise<void>,
  counts: { readonly turns: number; readonly parts: number } = {
    turns: scene.scaled(TURNS, 4),
    parts: scene.scaled(PARTS, 6),
  },
): Promise<void> {
  for (let turns = 0; turns < counts.turns; turns += 1) {
    await attempt(new Abort((abort) => void afterTurns(turns, abort)));
  }
  const unhurried = [new Abort(() => {}), new Abort(() => {})];
  for (const abort of unhurried) await attempt(abort);
  const whole = Math.min(...unhurried.map(({ milliseconds }) => milliseconds));
  const { parts } = counts;
  for (let part = 1; part <= parts; part += 1) {
    const delay = (whole * part) / parts;
    await attempt(new Abort((abort) => void setTimeout(abort, delay)));
  }
}

async function afterTurns(turns: number, abort: () => void): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
  abort();
}

async function manyFiles(path: string): Promise<void> {
  for (let dir = 0; dir < 5; dir += 1) {
    await mkdir(`${path}/${dir}`);
    for (let file = 0; file < 40; file += 1) await writeFile(`${path}/${dir}/${file}`, `${file}`);
  }
}
