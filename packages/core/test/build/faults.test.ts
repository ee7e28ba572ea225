import { rmSync } from 'node:fs';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import {
  type BuildEvent,
  err,
  failed,
  type ResultAsync,
  type Store,
  type StoreError,
} from '../../src/index.ts';
import type { ScriptedCommand } from '../../src/testing/index.ts';
import { built, gate, listen, openWorld, request, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const AB = '((from base) (run (shell a)) (run (shell b)))';
const FULL: StoreError = { type: 'no-space', message: 'the disk is full' };

/** Lets one method of a store fail for the first `times` calls. */
function failFirst<K extends 'prepare' | 'remove'>(
  store: Store,
  method: K,
  { times, error }: { times: number; error: StoreError },
): void {
  const real = store[method].bind(store) as (...args: unknown[]) => unknown;
  let left = times;
  store[method] = (async (...args: unknown[]) => (left-- > 0 ? err(error) : real(...args))) as never;
}

describe('a full disk', () => {
  it('is pruned once, and the step tried again', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const old = await built(world.builder, '((from base) (run (shell b)))');
    failFirst(world.store, 'prepare', { times: 1, error: FULL });
    const heard = listen();
    await built(world.builder, A, heard);
    expect(heard.output()).toContain('The disk is full: making room');
    expect(expectOk(await world.builder.list()).map(({ key }) => key)).not.toContain(old);
  });

  it('that stays full is told', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await built(world.builder, '((from base) (run (shell b)))');
    failFirst(world.store, 'prepare', { times: 9, error: FULL });
    const error = expectErr(await world.builder.build(request(A)));
    expect(error).toMatchObject({ type: 'store', error: FULL });
  });
});

describe('a cache', () => {
  const USING = (name: string) => `((from base) (run (cache (apt (target /cache))) (shell ${name})))`;

  it('that cannot be copied any more begins anew, for the step that needs it and for all that follow', async () => {
    const seen: string[][] = [];
    const use = (name: string): ScriptedCommand => {
      return async ({ mounts }) => {
        const cache = mounts.get('/cache') ?? '';
        seen.push(await readdir(cache));
        await writeFile(join(cache, name), '');
        return 0;
      };
    };
    await using world = await openWorld({ a: use('a'), b: use('b'), c: use('c') });
    await built(world.builder, USING('a'));
    const { caches } = world.store;
    const checkOut = caches.checkOut.bind(caches);
    caches.checkOut = async () => {
      caches.checkOut = checkOut;
      return err(failed('cp: File name too long'));
    };
    const heard = listen();
    await built(world.builder, USING('b'), heard);
    expect(heard.output()).toBe(
      'unpacked base\nThe cache "apt" could not be copied, and begins anew: cp: File name too long\n',
    );
    await built(world.builder, USING('c'));
    expect(seen).toEqual([[], [], ['b']]);
  });

  it('is given back before its build ends', async () => {
    await using world = await openWorld({ a: writes('a') });
    const { caches } = world.store;
    const checkOut = caches.checkOut.bind(caches);
    let isBack = false;
    caches.checkOut = async (id, owner) =>
      (await checkOut(id, owner)).map((copy) => {
        const dispose = copy[Symbol.asyncDispose].bind(copy);
        return Object.assign(copy, {
          [Symbol.asyncDispose]: async () => {
            await dispose();
            await delay(50);
            isBack = true;
          },
        });
      });
    await built(world.builder, USING('a'));
    expect(isBack).toBe(true);
  });

  it('that cannot be kept is no failure of the step that used it', async () => {
    await using world = await openWorld({ a: writes('a') });
    const { caches } = world.store;
    const checkOut = caches.checkOut.bind(caches);
    caches.checkOut = async (id, owner) =>
      (await checkOut(id, owner)).map((copy) =>
        Object.assign(copy, { publish: async () => err(failed('it is read-only')) }),
      );
    const heard = listen();
    await built(world.builder, USING('a'), heard);
    expect(heard.output()).toBe(
      'unpacked base\nwrote a\nWhat is in the cache "apt" cannot be kept: it is read-only\n',
    );
  });
});

describe('a removal that fails', () => {
  it('keeps neither its ancestors nor others, and is tried again', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await built(world.builder, AB);
    failFirst(world.store, 'remove', { times: 1, error: failed('the device is busy') });
    expect(expectErr(await world.builder.prune({}))).toMatchObject({ message: 'the device is busy' });
    expect(expectOk(await world.builder.prune({})).removed).toHaveLength(3);
    expect(expectOk(await world.store.list())).toEqual([]);
  });

  it('never brings back what was half removed', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const [a, ab] = [await built(world.builder, A), await built(world.builder, AB)];
    failFirst(world.store, 'remove', { times: 2, error: failed('the device is busy') });
    expectErr(await world.builder.remove(ab));
    expectErr(await world.builder.remove(a));
    expect(expectOk(await world.builder.list()).map(({ key }) => key)).not.toContain(ab);
    await built(world.builder, AB);
    expect(world.sandbox.ran).toEqual(['a', 'b', 'b']);
  });

  it('that was aborted before it began changes nothing', async () => {
    await using world = await openWorld({ a: writes('a') });
    const a = await built(world.builder, A);
    expectErr(await world.builder.remove(a, AbortSignal.abort(new Error('no'))));
    await built(world.builder, A);
    expect(world.sandbox.ran).toEqual(['a']);
  });
});

describe('what goes behind the back of a builder', () => {
  it('an index that is gone is filled from the store', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await built(world.builder, AB);
    await world.builder[Symbol.asyncDispose]();
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(world.stateDir, `index.db${suffix}`), { force: true });
    await built(await world.reopen(), AB);
    expect(world.sandbox.ran).toEqual(['a', 'b']);
  });

  it('a record that is gone makes its step run again', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    await built(world.builder, AB);
    await rm(join(world.stateDir, 'steps'), { recursive: true });
    await built(world.builder, '((from base) (run (shell a)) (run (shell c)))');
    expect(world.sandbox.ran.at(-1)).toBe('c');
  });

  it('a log that is gone costs the build nothing', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, A);
    await rm(join(world.stateDir, 'logs'), { recursive: true });
    const heard = listen();
    await built(world.builder, A, heard);
    expect(heard.sources()).toEqual(['cache', 'cache']);
    expect(expectOk(await world.builder.prune({})).removed).toHaveLength(2);
  });

  // A failure before there was a log was raised into the scheduler.
  it('a log that cannot be made is a failure of its build, and of no other [P4] [L4]', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await built(world.builder, A);
    const logs = join(world.stateDir, 'logs');
    await rm(logs, { recursive: true });
    await writeFile(logs, '');
    expect(expectErr(await world.builder.build(request(AB)))).toMatchObject({ type: 'store' });
    const heard = listen();
    await built(world.builder, A, heard);
    expect(heard.sources()).toEqual(['cache', 'cache']);
    const notes = heard.events.flatMap((event) => (event.type === 'note' ? event.text : []));
    expect(notes).toEqual(Array(2).fill(expect.stringMatching(/^the log of \w+ cannot be read: ENOTDIR/)));
    expect(world.store.mounted).toBe(0);
    await rm(logs);
    await built(world.builder, AB);
    expect(world.sandbox.ran).toEqual(['a', 'b', 'b']);
  });

  it('a record that cannot be read is a failure of its build, and nothing is thrown [P4]', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await built(world.builder, A);
    const steps = join(world.stateDir, 'steps');
    await rename(steps, `${steps}.aside`);
    await writeFile(steps, '');
    expect(expectErr(await world.builder.build(request(AB)))).toMatchObject({ type: 'store' });
    await rm(steps);
    await rename(`${steps}.aside`, steps);
    await built(world.builder, AB);
    expect(world.sandbox.ran).toEqual(['a', 'b']);
  });

  it('a snapshot that two builds miss is made again for both', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    const a = await built(world.builder, A);
    expectOk(await world.store.remove(a));
    const slow = async (event: BuildEvent): Promise<void> => {
      if (event.type === 'step-failed') await new Promise((resolve) => setTimeout(resolve, 50));
    };
    const specs = [AB, AB, '((from base) (run (shell a)) (run (shell c)))'];
    const results = await Promise.all(
      specs.map((spec, i) => world.builder.build(request(spec, i === 1 ? { onEvent: slow } : {}))),
    );
    for (const result of results) await expectOk(result)[Symbol.asyncDispose]();
    await built(world.builder, AB);
  });
});

describe('a call of a builder whose files are in ruins', () => {
  it('is answered with a failure that says which, and never rejected', async () => {
    await using world = await openWorld({ a: writes('a') });
    const a = await built(world.builder, A);
    for (const name of ['logs', 'steps']) {
      await rm(join(world.stateDir, name), { recursive: true });
      await writeFile(join(world.stateDir, name), '');
    }
    const { builder } = world;
    const calls = [() => builder.log(a), () => builder.explain(a), () => builder.remove(a)];
    for (const call of calls) {
      const failure = expectErr(await (call() as ResultAsync<unknown, StoreError>));
      expect(failure).toMatchObject({ type: 'failed', message: expect.stringContaining('ENOTDIR') });
    }
  });
});

describe('closing a builder', () => {
  it('cancels every call that comes after it', async () => {
    await using world = await openWorld({});
    await world.builder[Symbol.asyncDispose]();
    expect(expectErr(await world.builder.build(request(A)))).toMatchObject({ type: 'cancelled' });
    expect(expectErr(await world.builder.list())).toMatchObject({ type: 'cancelled' });
    expect(expectErr(await world.builder.caches.list())).toMatchObject({ type: 'cancelled' });
  });

  it('waits for all that runs, however often it is asked', async () => {
    const a = gate('');
    await using world = await openWorld({ a: a.command });
    const build = world.builder.build(request(A));
    await a.started;
    await Promise.all([world.builder[Symbol.asyncDispose](), world.builder[Symbol.asyncDispose]()]);
    expect(world.store.mounted).toBe(0);
    expect(expectErr(await build)).toMatchObject({ type: 'cancelled' });
  });

  it('a step that throws by mistake is thrown to its build, and stops the other stages', async () => {
    const b = gate('');
    await using world = await openWorld({
      a: async () => {
        await b.started;
        throw new TypeError('a bug');
      },
      b: b.command,
    });
    const spec = `((build one ((from base) (run (shell a)))) (build two ((from base) (run (shell b)))) (from base)
      (copy (from (build one)) (src a) (dst /a)) (copy (from (build two)) (src b) (dst /b)))`;
    await expect(world.builder.build(request(spec))).rejects.toThrow('a bug');
    expect(world.store.mounted).toBe(0);
  });

  it('refuses a concurrency that could run nothing', async () => {
    await expect(openWorld({}, { concurrency: 0 })).rejects.toThrow(
      'concurrency is 0, but must be at least 1',
    );
  });
});
