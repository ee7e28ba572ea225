import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type BuildEvent, err, type StepKey, type StoreError } from '../../src/index.ts';
import { built, gate, openWorld, readResult, request, type World, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const B = '((from base) (run (shell b)))';
const BROKEN: StoreError = { type: 'failed', message: 'the store is broken' };

describe('a prune while builds are going on', () => {
  it('keeps what a stage made until it is copied [P3]', async () => {
    const wait = gate('');
    const staged = Promise.withResolvers<void>();
    await using world = await openWorld({ b: writes('b'), wait: wait.command });
    let done = 0;
    const onEvent = (event: BuildEvent): void => {
      if (event.type !== 'step-done' || event.stage !== 's') return;
      done += 1;
      if (done === 2) staged.resolve();
    };
    const spec = `((build s ((from other) (run (shell b)))) (from base) (run (shell wait))
      (copy (from (build s)) (src b) (dst /c)))`;
    const running = world.builder.build(request(spec, { onEvent }));
    await wait.started;
    await staged.promise;
    expect(expectOk(await world.builder.prune({})).removed).toEqual([]);
    wait.open();
    await using result = expectOk(await running);
    expect(await readResult(result, 'c')).toBe('b');
    expect(world.sandbox.ran).toEqual(expect.arrayContaining(['b', 'wait']));
    expect(world.sandbox.ran).toHaveLength(2);
  });

  it('takes nothing that a build has found and is about to use [P5]', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await built(world.builder, A);
    const removed: StepKey[][] = [];
    beforeEach(world, async () => {
      removed.push([...expectOk(await world.builder.prune({})).removed]);
    });
    await using result = expectOk(
      await world.builder.build(request('((from base) (run (shell a)) (run (shell b)))')),
    );
    expect(await readResult(result, 'a')).toBe('a');
    await using again = expectOk(await world.builder.build(request(A)));
    expect(await readResult(again, 'a')).toBe('a');
    await using opened = expectOk(await world.builder.open(again.key));
    expect(await readResult(opened, 'a')).toBe('a');
    expect(removed.length).toBeGreaterThan(3);
    expect(removed.flat()).toEqual([]);
    expect(world.sandbox.ran).toEqual(['a', 'b']);
  });

  it('does not keep `usage` and `list` from an answer [P6]', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `c${i}`);
    await using world = await openWorld(Object.fromEntries(names.map((name) => [name, writes(name)])));
    for (const name of names) await built(world.builder, `((from base) (run (shell ${name})))`);
    let pruning = true;
    const prune = world.builder.prune({});
    void prune.then(() => {
      pruning = false;
    });
    let answers = 0;
    while (pruning) {
      const usage = expectOk(await world.builder.usage());
      expect(usage.map(({ axis }) => axis)).toContain('bytes');
      expectOk(await world.builder.list());
      answers += 1;
    }
    expect(answers).toBeGreaterThan(1);
    expect(expectOk(await prune).removed).toHaveLength(names.length + 1);
  });

  it('does not hold them up while the store frees the space, and tells of each removal at once [X12]', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    const [a, b] = [await built(world.builder, A), await built(world.builder, B)];
    const [freeing, freed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const reclaimed = world.store.reclaimed.bind(world.store);
    world.store.reclaimed = async () => {
      freeing.resolve();
      await freed.promise;
      return reclaimed();
    };
    const told: StepKey[] = [];
    const prune = world.builder.prune({ limit: 2, onRemoved: (key) => void told.push(key) });
    await freeing.promise;
    expect(told).toEqual([a, b]);
    await built(world.builder, '((from base) (run (shell c)))');
    freed.resolve();
    expect(expectOk(await prune).removed).toEqual([a, b]);
  });
});

describe('a prune', () => {
  it('for free space takes no more than it needs [P8]', async () => {
    await using world = await openWorld(
      Object.fromEntries(['a', 'b', 'c'].map((name) => [name, writes(name, 'x'.repeat(1000))])),
      { capacityBytes: 10_000 },
    );
    const keys = [];
    for (const name of ['a', 'b', 'c']) {
      keys.push(await built(world.builder, `((from base) (run (shell ${name})))`));
    }
    const free = async (): Promise<number> => {
      const bytes = expectOk(await world.builder.usage()).find(({ axis }) => axis === 'bytes');
      return (bytes?.total ?? 0) - (bytes?.used ?? 0);
    };
    const before = await free();
    expect(expectOk(await world.builder.prune({ keepFreeBytes: before })).removed).toEqual([]);
    expect(expectOk(await world.builder.prune({ keepFreeBytes: before + 1 })).removed).toEqual(
      keys.slice(0, 1),
    );
    expect(expectOk(await world.builder.prune({ keepFreeBytes: before + 1900 })).removed).toEqual(
      keys.slice(1, 2),
    );
    expect(await free()).toBeGreaterThan(before + 1900);
  });

  it('removes one step after the other, and never two at once [B9]', async () => {
    const names = ['a', 'b', 'c', 'd'];
    await using world = await openWorld(Object.fromEntries(names.map((name) => [name, writes(name)])));
    for (const name of names) await built(world.builder, `((from base) (run (shell ${name})))`);
    const remove = world.store.remove.bind(world.store);
    let [now, most] = [0, 0];
    world.store.remove = async (key) => {
      now += 1;
      most = Math.max(most, now);
      const removed = await remove(key);
      now -= 1;
      return removed;
    };
    expect(expectOk(await world.builder.prune({})).removed).toHaveLength(names.length + 1);
    expect(most).toBe(1);
  });

  it('that fails is told at once, and holds up nothing else [P10]', async () => {
    const running = gate('');
    await using world = await openWorld({ a: writes('a'), b: running.command });
    await built(world.builder, A);
    const other = world.builder.build(request(B));
    await running.started;
    const remove = world.store.remove.bind(world.store);
    world.store.remove = async () => err(BROKEN);
    expect(expectErr(await world.builder.prune({}))).toEqual(BROKEN);
    running.open();
    await expectOk(await other)[Symbol.asyncDispose]();
    world.store.remove = remove;
    expect(expectOk(await world.builder.prune({})).removed).toHaveLength(3);
  });
});

/** Before the store looks a snapshot up, or makes one from it, something else comes first. */
function beforeEach({ store }: World, work: () => Promise<void>): void {
  const [lookup, prepare] = [store.lookup.bind(store), store.prepare.bind(store)];
  store.lookup = async (key) => {
    await work();
    return lookup(key);
  };
  store.prepare = async (asked) => {
    await work();
    return prepare(asked);
  };
}
