import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { err, type PrunePolicy, parseSpec, type StoreError, toHostPath } from '../../src/index.ts';
import { type ScriptedCommand, virtualClock } from '../../src/testing/index.ts';
import { built, listen, openWorld, readResult, request, type World, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const B = '((from base) (run (shell b)))';
const FULL: StoreError = { type: 'no-space', message: 'the disk is full' };

describe('what went wrong in other builders: removal', () => {
  // https://github.com/moby/buildkit/issues/375
  it('gives back a lease once, however often it is disposed (P5)', async () => {
    await using world = await openWorld({ a: writes('a') });
    const first = expectOk(await world.builder.build(request(A)));
    await using second = expectOk(await world.builder.build(request(A)));
    await first[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();
    expect(expectOk(await world.builder.prune({})).removed).toEqual([]);
    expect(await readResult(second, 'a')).toBe('a');
  });

  // https://github.com/moby/buildkit/commit/b69e279: a policy that never matched, for years.
  it.each<PrunePolicy>([
    {},
    { unusedSince: new Date(Date.now() + 3_600_000) },
    { maxObjects: 0 },
    { keepFreeBytes: Number.MAX_SAFE_INTEGER },
    { limit: 1 },
  ])('has no policy that matches nothing: %o (P7)', async (policy) => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, A);
    expect(expectOk(await world.builder.prune(policy)).removed).not.toEqual([]);
  });

  // OCluster's worker woke up one waiter in 30 seconds.
  it('lets all builds go on that waited for room on a full disk (P9)', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c'), d: writes('d') });
    await built(world.builder, '((from base) (run (shell d)))');
    fillDisk(world, 'once for each step');
    const builds = ['a', 'b', 'c'].map((name) => built(world.builder, `((from base) (run (shell ${name})))`));
    expect(new Set(await Promise.all(builds)).size).toBe(3);
  });

  it('makes room also where a store has too many objects, and for more than one step (Z9)', async () => {
    const names = Array.from({ length: 25 }, (_, number) => `step${number}`);
    await using world = await openWorld(Object.fromEntries(names.map((name) => [name, writes(name)])));
    const build = (name = '') => built(world.builder, `((from base) (run (shell ${name})))`);
    for (const name of names.slice(1)) await build(name);
    // More than it may have, as where several steps were begun at once.
    boundObjects(world, 20);
    await build(names[0]);
    expect(expectOk(await world.store.list()).length).toBeLessThanOrEqual(19);
  });

  // OCluster pruned for ever where there was nothing to prune.
  it('gives up where pruning makes no room, after a bounded number of tries (P11)', async () => {
    await using world = await openWorld({ a: writes('a') });
    const tries = fillDisk(world, 'for good');
    expect(expectErr(await world.builder.build(request(A)))).toMatchObject({ type: 'store', error: FULL });
    expect(tries()).toBeLessThanOrEqual(4);
  });

  // OBuilder kept times of whole seconds, so what was used just now could go first.
  it('knows what was used last among steps of the same moment (P12)', async () => {
    const clock = virtualClock();
    await using world = await openWorld({ a: writes('a'), b: writes('b') }, { clock });
    const [, b] = [await built(world.builder, A), await built(world.builder, B)];
    await built(world.builder, A);
    expect(expectOk(await world.builder.prune({ limit: 1 })).removed).toEqual([b]);
    await world.reopen();
    await built(world.builder, A);
    const unusedSince = new Date(clock.now());
    expect(expectOk(await world.builder.prune({ unusedSince })).removed).toEqual([]);
  });
});

describe('what went wrong in other builders: secrets', () => {
  const spec = '((from base) (run (secrets (token (target /t))) (shell a)))';

  // OBuilder's key was made of the secret, so that it could be guessed from what everybody sees.
  it('keeps neither a secret nor a hash of it, wherever it writes (S2)', async () => {
    const value = Buffer.from('hunter2');
    await using world = await openWorld({ a: writes('a') });
    const key = await built(world.builder, spec, { secrets: new Map([['token', value]]) });
    await world.builder[Symbol.asyncDispose]();
    const found: string[] = [];
    const [digest, bytes] = [createHash('sha256').update(value).digest(), JSON.stringify([...value])];
    const forms = [value, digest].flatMap((one) => [one.toString('hex'), one.toString('base64')]);
    for (const text of [value.toString(), bytes.slice(1, -1), ...forms]) {
      expect(key).not.toContain(text);
      for (const [name, content] of await filesBelow(world.dir)) {
        if (content.includes(text)) found.push(`${text} in ${name}`);
      }
    }
    expect(found).toEqual([]);
  });

  // OCluster's worker logged the whole request.
  it('names a secret in events and failures by its id, never by its value (S5)', async () => {
    await using world = await openWorld({ a: async () => 3 });
    const heard = listen();
    const secrets = new Map([['token', Buffer.from('hunter2')]]);
    const error = expectErr(await world.builder.build(request(spec, { ...heard, secrets })));
    const said = JSON.stringify([heard.events, error]);
    expect(said).toContain('token');
    expect(said).not.toContain('hunter2');
    expect(said).not.toContain(JSON.stringify([...Buffer.from('hunter2')]).slice(1, -1));
  });
});

describe('what went wrong in other builders: images, caches, files and logs', () => {
  // A base image was known by its name alone, and kept for ever.
  it('asks at each build what the name of an image means (M2)', async () => {
    await using world = await openWorld({ a: writes('a') });
    const old = await built(world.builder, A);
    world.images.base = { files: { origin: 'new' } };
    await using result = expectOk(await world.builder.build(request(A)));
    expect(result.key).not.toBe(old);
    expect(await readResult(result, 'origin')).toBe('new');
    await using before = expectOk(await world.builder.open(old));
    expect(await readResult(before, 'origin')).toBe('base');
  });

  // https://github.com/moby/buildkit/issues/1662
  it('gives builds that run at once a copy of a cache each, and keeps one of them whole (R12)', async () => {
    const both = Promise.withResolvers<void>();
    const seen: string[][] = [];
    let running = 0;
    const fill =
      (name: string): ScriptedCommand =>
      async ({ mounts }) => {
        const path = mounts.get('/cache') ?? '';
        await writeFile(join(path, `${name}-1`), name);
        running += 1;
        if (running === 2) both.resolve();
        await both.promise;
        await writeFile(join(path, `${name}-2`), name);
        seen.push((await readdir(path)).sort());
        return 0;
      };
    const look: ScriptedCommand = async ({ mounts }) => {
      seen.push((await readdir(mounts.get('/cache') ?? '')).sort());
      return 0;
    };
    await using world = await openWorld({ a: fill('a'), b: fill('b'), look });
    const using = (name: string) => `((from base) (run (cache (c (target /cache))) (shell ${name})))`;
    await Promise.all(['a', 'b'].map((name) => built(world.builder, using(name))));
    expect(seen.toSorted()).toEqual([
      ['a-1', 'a-2'],
      ['b-1', 'b-2'],
    ]);
    await built(world.builder, using('look'));
    expect(seen.slice(0, 2)).toContainEqual(seen[2]);
  });

  // https://nvd.nist.gov/vuln/detail/CVE-2026-33748
  it('takes nothing from outside of the context by a link in the way (C13)', async () => {
    await using world = await openWorld({});
    const context = join(world.dir, 'context');
    await mkdir(join(world.dir, 'outside'));
    await writeFile(join(world.dir, 'outside/file'), 'not yours');
    await mkdir(context);
    await symlink('../outside', join(context, 'link'));
    const spec = (source: string) => `((from base) (copy (src ${source}) (dst /file)))`;
    const inTheWay = await world.builder.build(request(spec('link/file'), { context: toHostPath(context) }));
    expect(expectErr(inTheWay)).toMatchObject({ type: 'invalid-context' });
    for (const source of ['../outside/file', 'link/../../outside/file']) {
      expect(expectErr(parseSpec(spec(source))).message).toContain(source);
    }
  });

  // Two names of one letter, composed and not, are one file on a Mac and two elsewhere.
  it('takes names as bytes, composed or not (K11)', async () => {
    await using world = await openWorld({});
    const [composed, decomposed] = ['gr\u00f6\u00dfe', 'gro\u0308\u00dfe'];
    const copies = async (name: string): Promise<string> => {
      const context = toHostPath(join(world.dir, `context-${Buffer.from(name).toString('hex')}`));
      await mkdir(context);
      await writeFile(join(context, name), 'text');
      return built(world.builder, '((from base) (copy (src .) (dst /src/)))', { context });
    };
    expect(await copies(composed)).not.toBe(await copies(decomposed));
  });

  // https://github.com/docker/buildx/issues/484
  it('clips no log, and gives its last line, however long it is (L9)', async () => {
    const line = `${'x'.repeat(1023)}\n`;
    await using world = await openWorld({
      a: async ({ request: { output } }) => {
        for (let i = 0; i < 4096; i += 1) await output.write(line);
        await output.write('the error\n');
        return 1;
      },
    });
    const heard = listen();
    expectErr(await world.builder.build(request(A, heard)));
    const output = heard.output().slice('unpacked base\n'.length);
    expect(output.length).toBe(4096 * 1024 + 'the error\n'.length);
    expect(output.endsWith('x\nthe error\n')).toBe(true);
  });
});

/** From now on the store has no room. @returns How many calls of `prepare` there were. */
function fillDisk({ store }: World, long: 'once for each step' | 'for good'): () => number {
  const prepare = store.prepare.bind(store);
  const refused = new Set<string>();
  let calls = 0;
  store.prepare = async (asked) => {
    calls += 1;
    if (long === 'once for each step' && refused.has(asked.key)) return prepare(asked);
    refused.add(asked.key);
    return err(FULL);
  };
  return () => calls;
}

/** Makes a store refuse new snapshots while it has more than so many. */
function boundObjects({ store }: World, most: number): void {
  const [prepare, usage] = [store.prepare.bind(store), store.usage.bind(store)];
  const count = async () => expectOk(await store.list()).length;
  store.prepare = async (asked) => ((await count()) >= most ? err(FULL) : prepare(asked));
  store.usage = async () => {
    const used = await count();
    const objects = { axis: 'objects', used, total: Math.max(used, most) } as const;
    return (await usage()).map((axes) => [...axes.filter(({ axis }) => axis !== 'objects'), objects]);
  };
}

async function filesBelow(directory: string): Promise<ReadonlyMap<string, Buffer>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  return new Map(await Promise.all(paths.map(async (path) => [path, await readFile(path)] as const)));
}
