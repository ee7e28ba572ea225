import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type Exit, err, failed, ok, type SecretValue, toCacheId } from '../../src/index.ts';
import { type CommandIo, virtualClock } from '../../src/testing/index.ts';
import { built, gate, openWorld, request, type World, writes } from './world.ts';

const RICH = `((from other) (env A 1) (workdir /work) (user (uid 0) (gid 0)) (shell /bin/zsh -c)
  (run (network host) (cache (one (target near)) (two (target /far)))
    (secrets (token (target inside)) (key (target /outside))) (shell go)))`;
const SECRETS = new Map<string, SecretValue>([
  ['token', Buffer.from('plain')],
  ['key', { value: Buffer.from('versioned'), version: '3' }],
]);

describe('a command', () => {
  it('gets all that the spec and its image say, and nothing else', async () => {
    await using place = await openPlace();
    await built(place.world.builder, RICH, { secrets: SECRETS });
    const { volumes, output, signal, ...asked } = place.requests[0] ?? {};
    expect([...(volumes?.keys() ?? [])]).toEqual(['rootfs']);
    expect(asked).toEqual({
      argv: ['/bin/zsh', '-c', 'go'],
      cwd: '/work',
      env: { PATH: '/image/bin', HOME: '/', LANG: 'C', NAME: 'image', A: '1' },
      user: { uid: 0, gid: 0 },
      network: 'host',
      limits: {},
      mounts: [
        { volume: expect.anything(), target: '/work/near' },
        { volume: expect.anything(), target: '/far' },
      ],
      secrets: [
        { target: '/work/inside', value: Buffer.from('plain') },
        { target: '/outside', value: Buffer.from('versioned') },
      ],
    });
  });

  it('gets what the sandbox gives where nothing is said', async () => {
    await using place = await openPlace();
    await built(place.world.builder, '((from base) (run (shell go)))');
    const { volumes, output, signal, ...asked } = place.requests[0] ?? {};
    expect(asked).toEqual({
      argv: ['sh', '-c', 'go'],
      cwd: '/',
      env: { PATH: '/bin:/usr/bin', HOME: '/' },
      user: { uid: 0, gid: 0 },
      network: 'none',
      limits: {},
      mounts: [],
      secrets: [],
    });
  });

  it.each([
    ['', '', '/'],
    ['srv', '', '/srv'],
    ['/srv', '', '/srv'],
    ['/srv', '(workdir sub)', '/srv/sub'],
    ['/srv', '(workdir /sub)', '/sub'],
    ['', '(workdir sub)', '/sub'],
  ])('of an image with the directory "%s" and "%s" runs in %s', async (directory, workdir, cwd) => {
    await using place = await openPlace();
    place.world.images.placed = { cwd: directory };
    await built(place.world.builder, `((from placed) ${workdir} (run (shell go)))`);
    expect(place.requests[0]?.cwd).toBe(cwd);
  });

  it.each([
    ['', { uid: 7, gid: 8 }],
    ['(user (uid 5) (gid 6))', { uid: 5, gid: 6 }],
    ['(user (uid 5) (gid 6)) (user (name me))', { uid: 1, gid: 2 }],
  ])(
    'of an image with a user of its own and "%s" runs as the user that was named last',
    async (user, wanted) => {
      await using place = await openPlace();
      place.world.images.owned = { user: { uid: 7, gid: 8 } };
      await built(place.world.builder, `((from owned) ${user} (run (shell go)))`);
      expect(place.requests[0]).toMatchObject({ user: wanted, env: { HOME: `/home/${wanted.uid}` } });
    },
  );

  it.each([
    ['(user (name nobody))', '"nobody"'],
    ['(user (uid 99) (gid 0))', '99'],
  ])('cannot run as %s where the image does not know that user', async (user, shown) => {
    await using place = await openPlace();
    expect(
      expectErr(await place.world.builder.build(request(`((from base) ${user} (run (shell go)))`))),
    ).toEqual({
      type: 'invalid-spec',
      message: `the image has no user ${shown}; give (uid ...) and (gid ...) instead`,
    });
    expect(place.requests).toEqual([]);
  });

  it('has the limits of its build', async () => {
    await using place = await openPlace();
    const limits = { timeoutMs: 1000, silenceMs: 500 };
    await built(place.world.builder, '((from base) (run (shell go)))', { limits });
    expect(place.requests[0]?.limits).toEqual(limits);
  });

  it('waits for its turn where the sandbox runs only so many at once', async () => {
    await using line = await openLine();
    const second = line.builder.build(request('((from base) (run (shell b)))'));
    await line.secondWaits();
    expect(line.world.sandbox.ran).toEqual(['a']);
    await line.endFirst();
    await expectOk(await second)[Symbol.asyncDispose]();
    expect(line.world.sandbox.ran).toEqual(['a', 'b']);
  });

  it('that waits for its turn is not run any more when its build is cancelled', async () => {
    await using line = await openLine();
    const stop = new AbortController();
    const second = line.builder.build(request('((from base) (run (shell b)))', { signal: stop.signal }));
    await line.secondWaits();
    stop.abort(new Error('enough'));
    expect(expectErr(await second)).toMatchObject({ type: 'cancelled', reason: new Error('enough') });
    await line.endFirst();
    expect(line.world.sandbox.ran).toEqual(['a']);
  });
});

describe('a cache', () => {
  it.each<readonly [how: string, exit: Exit | number, kept: boolean]>([
    ['succeeds', 0, true],
    ['fails', 1, true],
    ['is killed', { type: 'signalled', signal: 'SIGKILL' }, false],
    ['exceeds a limit', { type: 'limit-exceeded', limit: 'timeoutMs' }, false],
  ])('of a command that %s is kept only if the command came to its end', async (_, exit, kept) => {
    await using place = await openCaches({ exit });
    await place.build('fill');
    expect(await place.found()).toEqual(kept ? ['filled'] : []);
  });

  it('of a command that was cancelled at its end is not kept', async () => {
    await using place = await openCaches({ abortsAtItsEnd: true });
    expect(expectErr(await place.build('fill'))).toMatchObject({
      type: 'cancelled',
      reason: new Error('enough'),
    });
    expect(await place.found()).toEqual([]);
  });

  it('is given back also when the second one of a step cannot be had', async () => {
    await using place = await openCaches({});
    const { caches } = place.world.store;
    const checkOut = caches.checkOut.bind(caches);
    const out = new Set<string>();
    caches.checkOut = async (id, owner) => {
      if (id === toCacheId('two')) return err(failed('no copy'));
      const copy = expectOk(await checkOut(id, owner));
      out.add(id);
      const dispose = copy[Symbol.asyncDispose].bind(copy);
      const slowly = async (): Promise<void> => {
        for (let i = 0; i < 50; i += 1) await setImmediate();
        await dispose().then(() => out.delete(id));
      };
      return ok(Object.assign(copy, { [Symbol.asyncDispose]: slowly }));
    };
    const spec = '((from base) (run (cache (one (target /one)) (two (target /two))) (shell fill)))';
    expect(expectErr(await place.world.builder.build(request(spec)))).toMatchObject({
      error: failed('no copy'),
    });
    expect([...out]).toEqual([]);
    expect(place.world.sandbox.ran).toEqual([]);
  });

  it('that begins anew, and is not kept either, is no failure where the log has no place to say so', async () => {
    await using place = await openCaches({});
    const { caches } = place.world.store;
    const checkOut = caches.checkOut.bind(caches);
    caches.checkOut = async (...asked) => {
      caches.checkOut = async (id, owner) =>
        (await checkOut(id, owner)).map((copy) =>
          Object.assign(copy, { publish: async () => err(failed('it is read-only')) }),
        );
      return err(failed(`no copy of ${asked[0]}`));
    };
    await built(place.world.builder, '((from base))');
    const logs = join(place.world.stateDir, 'logs');
    await rm(logs, { recursive: true });
    await writeFile(logs, '');
    await using _built = expectOk(await place.build('fill'));
    expect(place.world.sandbox.ran).toEqual(['fill']);
  });

  it('is made for the user of the command', async () => {
    await using place = await openCaches({});
    const { caches } = place.world.store;
    const checkOut = caches.checkOut.bind(caches);
    const asked: unknown[] = [];
    caches.checkOut = (id, owner) => {
      asked.push({ id, owner });
      return checkOut(id, owner);
    };
    place.world.sandbox.account = async () => ok({ uid: 3, gid: 4, home: '/home' });
    await place.build('fill');
    expect(asked).toEqual([{ id: 'c', owner: { uid: 3, gid: 4 } }]);
  });
});

/** Commands that note what they were asked for, for an image with the user `me`. */
async function openPlace(): Promise<
  AsyncDisposable & { readonly world: World; readonly requests: CommandIo['request'][] }
> {
  const requests: CommandIo['request'][] = [];
  const world = await openWorld(
    {
      go: async ({ request }) => {
        requests.push(request);
        return 0;
      },
    },
    { clock: virtualClock() },
  );
  world.sandbox.account = async (user) => {
    if ('name' in user) return ok(user.name === 'me' ? { uid: 1, gid: 2, home: '/home/1' } : undefined);
    return ok(user.uid === 99 ? undefined : { ...user, home: user.uid === 0 ? '/' : `/home/${user.uid}` });
  };
  return { world, requests, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

/** A sandbox that runs one command at a time, and a build that takes its turn. */
async function openLine() {
  const a = gate('');
  const world = await openWorld({ a: a.command, b: writes('b') });
  Object.assign(world.sandbox, { concurrency: 1 });
  const builder = await world.reopen();
  const first = builder.build(request('((from base) (run (shell a)))'));
  await a.started;
  const asked = Promise.withResolvers<void>();
  const account = world.sandbox.account.bind(world.sandbox);
  world.sandbox.account = (user, volumes) => {
    asked.resolve();
    return account(user, volumes);
  };
  return {
    world,
    builder,
    secondWaits: async (): Promise<void> => {
      await asked.promise;
      await setImmediate();
    },
    endFirst: async (): Promise<void> => {
      a.open();
      await expectOk(await first)[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

/** A command that fills a cache, and then ends as it was told to; and one that looks into the cache. */
async function openCaches(end: { readonly exit?: Exit | number; readonly abortsAtItsEnd?: boolean }) {
  const stop = new AbortController();
  const seen: string[] = [];
  const world = await openWorld({
    fill: async ({ mounts }) => {
      for (const path of mounts.values()) await writeFile(join(path, 'filled'), '');
      return end.exit ?? 0;
    },
    look: async ({ mounts }) => {
      seen.push(...(await readdir(mounts.get('/cache') ?? '')));
      return 0;
    },
  });
  const run = world.sandbox.run.bind(world.sandbox);
  world.sandbox.run = async (asked, features) => {
    const exit = await run(asked, features);
    if (end.abortsAtItsEnd && asked.argv.at(-1) === 'fill') stop.abort(new Error('enough'));
    return exit;
  };
  const spec = (command: string): string =>
    `((from base) (run (cache (c (target /cache))) (shell ${command})))`;
  return {
    world,
    build: (command: string) => world.builder.build(request(spec(command), { signal: stop.signal })),
    /** What the next step finds in the cache. */
    found: async (): Promise<readonly string[]> => {
      await built(world.builder, spec('look'));
      return seen;
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}
