import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type BuildRequest, err, failed, toHostPath } from '../../src/index.ts';
import { openWorld, request, type World, writes, writeTree } from './world.ts';

/** Of the kinds that a builder hands on as they are. */
const FAULTS = {
  store: { type: 'busy', message: 'it is in use' } as const,
  sandbox: failed('it is broken'),
  fetch: failed('it is broken'),
};

/** Needs all that a builder asks of its parts. */
const SPEC = `((build stage ((from base) (run (cache (c (target /cache))) (shell make))))
  (from base)
  (copy (src file) (dst /file))
  (copy (from (build stage)) (src out) (dst /out))
  (run (secrets (token (target /token))) (cache (c (target /cache))) (shell go)))`;

/** What a part is asked for, and how often while that spec is built. */
const CALLS: readonly (readonly [what: Call, times: number, type: 'store' | 'sandbox' | 'fetch'])[] = [
  ['store.lookup', 8, 'store'],
  ['store.prepare', 5, 'store'],
  ['active.commit', 5, 'store'],
  ['baseImages.pin', 1, 'store'],
  ['caches.checkOut', 2, 'store'],
  ['copy.changed', 2, 'store'],
  ['copy.publish', 2, 'store'],
  ['sandbox.account', 4, 'sandbox'],
  ['sandbox.run', 2, 'sandbox'],
  ['fetcher.pin', 1, 'fetch'],
  ['fetcher.unpack', 1, 'fetch'],
];

type Call =
  | `store.${'lookup' | 'prepare'}`
  | `sandbox.${'account' | 'run'}`
  | `fetcher.${'pin' | 'unpack'}`
  | 'baseImages.pin'
  | 'active.commit'
  | 'caches.checkOut'
  | `copy.${'changed' | 'publish'}`;

const EACH = CALLS.flatMap(([what, times, type]) =>
  Array.from({ length: times }, (_, i) => [what, i + 1, type] as const),
);

describe('a part that fails', () => {
  it.each(EACH)(
    'at %s, the %ith time, fails the build with what it said, and leaves nothing',
    async (what, nth, type) => {
      await using place = await openPlace();
      const fault = place.failAt(what, { nth, error: FAULTS[type] });
      const error = expectErr(await place.build());
      expect(fault.calls()).toBeGreaterThanOrEqual(nth);
      expect(error).toEqual({ type, error: FAULTS[type], message: FAULTS[type].message });
      const { world } = place;
      expect(world.store.mounted).toBe(0);
      const saved = expectOk(await world.builder.list()).map(({ key }) => key);
      expect(expectOk(await world.store.list()).toSorted()).toEqual(saved.toSorted());
      fault.mend();
      await using _built = expectOk(await place.build());
      expect(expectOk(await world.builder.prune({})).removed).not.toContain(_built.key);
    },
  );

  it.each(CALLS)('is asked for %s just %i times by a build', async (what, times, type) => {
    await using place = await openPlace();
    const { calls } = place.failAt(what, { nth: Number.POSITIVE_INFINITY, error: FAULTS[type] });
    await using _built = expectOk(await place.build());
    expect(calls()).toBe(times);
  });
});

async function openPlace() {
  const world = await openWorld({ make: writes('out'), go: writes('went') });
  const context = toHostPath(join(world.dir, 'context'));
  await writeTree(context, { file: 'text' });
  const more: Omit<BuildRequest, 'spec'> = { context, secrets: new Map([['token', Buffer.from('secret')]]) };
  return {
    world,
    build: () => world.builder.build(request(SPEC, more)),
    failAt: (what: Call, how: How) => failAt(world, what, how),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

interface How {
  readonly nth: number;
  readonly error: (typeof FAULTS)[keyof typeof FAULTS];
}

interface Fault {
  readonly calls: () => number;
  readonly mend: () => void;
}

/** Lets one call fail, the nth of its kind. */
function failAt({ store, sandbox, fetcher }: World, what: Call, { nth, error }: How): Fault {
  let [calls, isBroken] = [0, true];
  const wrap = (owner: object, method: string): void => {
    const methods = owner as Record<string, (...args: unknown[]) => Promise<unknown>>;
    const real = methods[method]?.bind(owner);
    methods[method] = async (...args) => {
      calls += 1;
      return isBroken && calls === nth ? err(error) : real?.(...args);
    };
  };
  const after = (owner: object, method: string, change: (made: Record<string, unknown>) => void): void => {
    const methods = owner as Record<
      string,
      (...args: unknown[]) => Promise<{ value: Record<string, unknown> }>
    >;
    const real = methods[method]?.bind(owner);
    methods[method] = async (...args) => {
      const made = await real?.(...args);
      if (made?.value) change(made.value);
      return made as never;
    };
  };
  const [part, method = ''] = what.split('.');
  if (part === 'store') wrap(store, method);
  if (part === 'sandbox') wrap(sandbox, method);
  if (part === 'fetcher') wrap(fetcher, method);
  if (part === 'baseImages') wrap(store.baseImages ?? {}, method);
  if (part === 'caches') wrap(store.caches, method);
  if (part === 'copy') after(store.caches, 'checkOut', (copy) => wrap(copy, method));
  if (part === 'active') after(store, 'prepare', (active) => wrap(active, method));
  return {
    calls: () => calls,
    mend: () => {
      isBroken = false;
    },
  };
}
