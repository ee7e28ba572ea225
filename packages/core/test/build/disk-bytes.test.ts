import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { err, failed, type StepKey, type Store, type StoreError } from '../../src/index.ts';
import { built, gate, listen, openWorld, readResult, request, type World, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const OLD = '((from base) (run (shell old)))';
const FULL: StoreError = { type: 'no-space', message: 'the disk is full' };
const LONG = 'x'.repeat(1000);
const TOO_MUCH = {
  type: 'step-failed',
  exit: { type: 'limit-exceeded', limit: 'diskBytes' },
  message: 'the step wrote more than its limit of 100 bytes (diskBytes)',
};

describe('a step that writes more than the `diskBytes` of its build', () => {
  it('fails as at any other limit, and nothing is pruned for it', async () => {
    await using world = await openWorld({ a: writes('a', LONG), old: writes('old') });
    await built(world.builder, OLD);
    const heard = listen();
    const error = expectErr(await world.builder.build(request(A, { diskBytes: 100, ...heard })));
    expect(error).toMatchObject({ ...TOO_MUCH, stage: 'main', op: { op: 'run', command: 'a' } });
    expect(heard.output()).not.toContain('The disk is full');
    expect(world.sandbox.ran).toEqual(['old', 'a']);
    expect(await titles(world)).toEqual(['(from base)', '(run (shell old))']);
  });

  it('may be the base of a stage, which is named', async () => {
    await using world = await openWorld({ a: writes('a') });
    world.images.big = { files: { file: LONG } };
    const spec =
      '((build s ((from big) (run (shell a)))) (from base) (copy (from (build s)) (src a) (dst /a)))';
    const error = expectErr(await world.builder.build(request(spec, { diskBytes: 100 })));
    expect(error).toMatchObject({ ...TOO_MUCH, stage: 's', op: { op: 'base', image: 'big' } });
  });

  it('is run again for a build that joined it and may write more', async () => {
    const a = gate('');
    await using world = await openWorld({
      a: async (io) => {
        await writes('a', LONG)(io);
        return a.command(io);
      },
    });
    const bounded = world.builder.build(request(A, { diskBytes: 100 }));
    await a.started;
    const heard = listen();
    const joined = Promise.withResolvers<void>();
    const free = world.builder.build(
      request(A, {
        onEvent: (event) => {
          heard.onEvent(event);
          if (event.type === 'step-started' && event.source === 'joined') joined.resolve();
        },
      }),
    );
    await joined.promise;
    a.open();
    expect(expectErr(await bounded)).toMatchObject(TOO_MUCH);
    await using result = expectOk(await free);
    expect(await readResult(result, 'a')).toBe(LONG);
    expect(world.sandbox.ran).toEqual(['a', 'a']);
  });

  it('is a copy or a base image as well as a command', async () => {
    await using world = await openWorld({});
    world.images.large = { files: { file: LONG } };
    const base = expectErr(await world.builder.build(request('((from large))', { diskBytes: 100 })));
    expect(base).toMatchObject({ ...TOO_MUCH, op: { op: 'base' } });
    const spec = `((build src ((from large)))
      (from base) (copy (from (build src)) (src file) (dst /copied)))`;
    await built(world.builder, '((from large))');
    await built(world.builder, '((from base))');
    const copy = expectErr(await world.builder.build(request(spec, { diskBytes: 100 })));
    expect(copy).toMatchObject({ ...TOO_MUCH, op: { op: 'copy' } });
  });

  it('is told from a store that is full', async () => {
    await using world = await openWorld(
      { a: writes('a', LONG), old: writes('old', LONG) },
      { capacityBytes: 1500 },
    );
    await built(world.builder, OLD);
    await built(world.builder, A, { diskBytes: 2000 });
    expect(await titles(world)).toEqual(['(from base)', '(run (shell a))']);
  });
});

describe('a step with a limit of what it may write', () => {
  it('is not begun where the store cannot limit it', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, '((from base))');
    quotaOf(world).limit = async () => err(failed('quotas are off'));
    const error = expectErr(await world.builder.build(request(A, { diskBytes: 1000 })));
    expect(error).toMatchObject({ type: 'store', error: failed('quotas are off') });
    expect([world.sandbox.ran, world.store.mounted]).toEqual([[], 0]);
  });

  it('is tried again where the disk has no room for the limit', async () => {
    await using world = await openWorld({ a: writes('a') });
    const quota = quotaOf(world);
    const limit = quota.limit.bind(quota);
    let calls = 0;
    quota.limit = async (active, bytes) => {
      calls += 1;
      return calls === 1 ? err(FULL) : limit(active, bytes);
    };
    await built(world.builder, A, { diskBytes: 1000 });
    expect(calls).toBe(3);
  });

  it('that it exceeds is told with its key, and what it wrote goes', async () => {
    await using world = await openWorld({ a: writes('a', 'x'.repeat(1000)) });
    const [base, key] = [await built(world.builder, '((from base))'), await plannedKey(world, A)];
    const error = expectErr(await world.builder.build(request(A, { diskBytes: 100 })));
    expect(error).toEqual({
      ...{ type: 'step-failed', key, stage: 'main' },
      op: { op: 'run', command: 'a', network: [], caches: [], secrets: [] },
      exit: { type: 'limit-exceeded', limit: 'diskBytes' },
      message: 'the step wrote more than its limit of 100 bytes (diskBytes)',
    });
    expect(expectOk(await world.store.list())).toEqual([base]);
  });

  it('fails with its exit code where it found no reason to stop at its limit', async () => {
    await using world = await openWorld({
      a: async (io) => {
        await writes('a', 'x'.repeat(1000))(io);
        return 3;
      },
    });
    await built(world.builder, '((from base))');
    const error = expectErr(await world.builder.build(request(A, { diskBytes: 100 })));
    expect(error).toMatchObject({ type: 'step-failed', exit: { type: 'exited', code: 3 } });
  });

  it('is not said to have exceeded it where the store cannot tell', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, '((from base))');
    quotaOf(world).isUsedUp = async () => err(failed('it does not answer'));
    fullAtCommit(world);
    const error = expectErr(await world.builder.build(request(A, { diskBytes: 1000 })));
    expect(error).toMatchObject({ type: 'store', error: FULL });
  });
});

async function titles({ builder }: World): Promise<readonly string[]> {
  return expectOk(await builder.list())
    .map(({ title }) => title)
    .sort();
}

function quotaOf({ store }: World): NonNullable<Store['quota']> {
  if (store.quota === undefined) throw new Error('the memory store has quotas');
  return store.quota;
}

async function plannedKey({ builder }: World, spec: string): Promise<StepKey> {
  return expectOk(await builder.plan(request(spec))).at(-1)?.key as StepKey;
}

/** Lets the store have no room for what was made, whatever it is. */
function fullAtCommit({ store }: World): void {
  const prepare = store.prepare.bind(store);
  store.prepare = async (asked) =>
    (await prepare(asked)).map((active) => Object.assign(active, { commit: async () => err(FULL) }));
}
