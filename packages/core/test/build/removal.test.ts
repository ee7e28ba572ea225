import { readFileSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Builder, StepKey } from '../../src/index.ts';
import { scriptedFetcher } from '../../src/testing/index.ts';
import { built, gate, openWorld, request, writes } from './world.ts';

const AB = '((from base) (run (shell a)) (run (shell b)))';
const A = '((from base) (run (shell a)))';

async function keys(builder: Builder): Promise<StepKey[]> {
  return expectOk(await builder.list()).map(({ key }) => key);
}

describe('prune', () => {
  it('before the start of a build removes nothing, after it everything [X10]', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const before = new Date();
    await built(world.builder, AB);
    expect(expectOk(await world.builder.prune({ unusedSince: before })).removed).toHaveLength(0);
    const after = new Date(Date.now() + 1);
    expect(expectOk(await world.builder.prune({ unusedSince: after })).removed).toHaveLength(3);
    expect(expectOk(await world.store.list())).toEqual([]);
    expect(await keys(world.builder)).toEqual([]);
  });

  it('takes the least recently used first, and never more than asked [P8]', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    const [a, b] = [
      await built(world.builder, A),
      await built(world.builder, '((from base) (run (shell b)))'),
    ];
    await built(world.builder, A);
    expect(expectOk(await world.builder.prune({ maxObjects: 2 })).removed).toEqual([b]);
    expect(expectOk(await world.builder.prune({ limit: 1 })).removed).toEqual([a]);
    expect(expectOk(await world.builder.prune({ maxObjects: 2 })).removed).toEqual([]);
  });

  it('leaves what a build has, what it reads, and what it is about to return [P2] [P3]', async () => {
    const step = gate('');
    await using world = await openWorld({ a: writes('a'), b: writes('b'), wait: step.command });
    const running = world.builder.build(
      request(`((build s ((from base) (run (shell b)))) (from base) (copy (from (build s)) (src b) (dst /b))
        (run (shell wait)))`),
    );
    await step.started;
    const removed = expectOk(await world.builder.prune({})).removed;
    step.open();
    await using result = expectOk(await running);
    expect(removed).not.toContain(result.key);
    const kept = await keys(world.builder);
    expect(kept).toContain(result.key);
    expect(expectOk(await world.builder.prune({})).removed).not.toContain(result.key);
  });

  it('looks again before each removal: what came into use meanwhile stays [P1]', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const [a, b] = [
      await built(world.builder, A),
      await built(world.builder, '((from base) (run (shell b)))'),
    ];
    await built(world.builder, A);
    let lease: AsyncDisposable | undefined;
    const open = Promise.withResolvers<void>();
    const remove = world.store.remove.bind(world.store);
    world.store.remove = async (key) => {
      lease ??= expectOk(await world.builder.open(a));
      open.resolve();
      return remove(key);
    };
    expect(expectOk(await world.builder.prune({})).removed).toEqual([b]);
    await lease?.[Symbol.asyncDispose]();
  });

  it('removes logs and records with the steps', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, A);
    expectOk(await world.builder.prune({}));
    for (const kind of ['logs', 'steps']) {
      const files = await readdir(join(world.stateDir, kind), { recursive: true });
      expect(files.filter((name) => name.includes('.'))).toEqual([]);
    }
  });
});

describe('remove', () => {
  it('takes what was built on a step with it, and building again works', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const [a, ab] = [await built(world.builder, A), await built(world.builder, AB)];
    expect(expectOk(await world.builder.remove(a)).removed).toEqual([ab, a]);
    await built(world.builder, AB);
    expect(world.sandbox.ran).toEqual(['a', 'b', 'a', 'b']);
  });

  it('refuses a step that is in use, and says which', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const a = await built(world.builder, A);
    await using used = expectOk(await world.builder.build(request(AB)));
    expect(expectErr(await world.builder.remove(a))).toEqual({
      type: 'busy',
      message: `the step ${used.key} is in use`,
    });
    expect(await keys(world.builder)).toContain(used.key);
  });

  it('of a step that is not there is an error', async () => {
    await using world = await openWorld({});
    const key = '0'.repeat(64) as StepKey;
    expect(expectErr(await world.builder.remove(key))).toMatchObject({ type: 'not-found', key });
  });
});

describe('a builder that is opened', () => {
  it('refuses a directory that another one owns, with its pid [P15] [P17]', async () => {
    await using world = await openWorld({});
    const { openBuilder, toHostPath } = await import('../../src/index.ts');
    const second = await openBuilder({
      store: world.store,
      sandbox: world.sandbox,
      fetcher: scriptedFetcher({}),
      stateDir: toHostPath(world.stateDir),
    });
    expect(expectErr(second)).toEqual({
      type: 'busy',
      message: `${world.stateDir} is in use by process ${process.pid}`,
    });
  });

  it('removes snapshots that it does not know, and forgets rows without one [P18]', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const [a, ab] = [await built(world.builder, A), await built(world.builder, AB)];
    expectOk(await world.store.remove(ab));
    const stray = 'f'.repeat(64) as StepKey;
    const signal = new AbortController().signal;
    {
      await using active = expectOk(await world.store.prepare({ key: stray, from: { snapshot: a }, signal }));
      expectOk(await active.commit());
    }
    const builder = await world.reopen();
    expect((await keys(builder)).toSorted()).toEqual(expectOk(await world.store.list()).toSorted());
    expect(expectOk(await world.store.list())).not.toContain(stray);
    expect(await keys(builder)).toContain(a);
  });

  it.each<readonly [how: string, damage: (whole: Buffer) => Buffer]>([
    ['is no database', () => Buffer.from('no database at all'.repeat(1000))],
    ['is cut off', (whole) => whole.subarray(0, whole.length / 2)],
    ['is zeros from its second page on', (whole) => Buffer.from(whole).fill(0, 4096)],
    ['has noise in the middle', (whole) => Buffer.from(whole).fill('noise', 5000, whole.length - 100)],
  ])('rebuilds an index that %s from the store, and keeps the damaged one [P16]', async (_, damage) => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const key = await built(world.builder, AB);
    const before = await keys(world.builder);
    await world.builder[Symbol.asyncDispose]();
    const file = join(world.stateDir, 'index.db');
    writeFileSync(file, damage(readFileSync(file)));
    const builder = await world.reopen();
    expect((await keys(builder)).toSorted()).toEqual(before.toSorted());
    expect(await built(builder, AB)).toBe(key);
    expect(world.sandbox.ran).toEqual(['a', 'b']);
    expect(
      (await readdir(world.stateDir)).filter((name) => name.startsWith('index.db.damaged-')),
    ).toHaveLength(1);
  });
});

describe('any order of builds, leases, prunes and removals', () => {
  it('keeps every leased snapshot readable, and index and store in line [P2] [P13]', {
    timeout: 120_000,
  }, async () => {
    const names = ['a', 'b', 'c'];
    const script = Object.fromEntries(names.map((name) => [name, writes(name)]));
    const chain = fc.array(fc.constantFrom(...names), { maxLength: 3 });
    const step = fc.oneof(
      fc.record({ do: fc.constant('build' as const), chain, keep: fc.boolean() }),
      fc.record({ do: fc.constant('prune' as const), limit: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ do: fc.constant('release' as const) }),
      fc.record({ do: fc.constant('remove' as const), nth: fc.nat(5) }),
    );
    const sequences = fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sequences, async (rounds) => {
        await using world = await openWorld(script);
        const leased = new Set<AsyncDisposable & { key: StepKey }>();
        for (const round of rounds) {
          await Promise.all(
            round.map(async (action) => {
              if (action.do === 'prune') expectOk(await world.builder.prune({ limit: action.limit }));
              if (action.do === 'remove') {
                const key = (await keys(world.builder))[action.nth];
                if (key) await world.builder.remove(key);
              }
              if (action.do === 'release')
                for (const one of leased) if (leased.delete(one)) await one[Symbol.asyncDispose]();
              if (action.do === 'build') {
                const runs = action.chain.map((name) => `(run (shell ${name}))`).join('');
                const result = expectOk(await world.builder.build(request(`((from base) ${runs})`)));
                if (action.keep) leased.add(result);
                else await result[Symbol.asyncDispose]();
              }
            }),
          );
          const stored = expectOk(await world.store.list());
          expect((await keys(world.builder)).toSorted()).toEqual(stored.toSorted());
          for (const { key } of leased) expect(stored).toContain(key);
        }
        for (const one of leased) await one[Symbol.asyncDispose]();
        expectOk(await world.builder.prune({}));
        expect(expectOk(await world.store.list())).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});
