import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { err, failed, type StepKey, toCacheId, toHostPath } from '../../src/index.ts';
import type { ScriptedCommand } from '../../src/testing/index.ts';
import { built, gate, listen, openWorld, readResult, request, writes, writeTree } from './world.ts';

const AB = '((from base) (run (shell a)) (run (shell b)))';
const AC = '((from base) (run (shell a)) (run (shell c)))';

/** Only root can be somebody else. */
function whoever(owner: { uid: number; gid: number }): object {
  return process.getuid?.() === 0 ? owner : { uid: process.getuid?.(), gid: process.getgid?.() };
}

describe('one build', () => {
  it('gives the files of its last step, with those of the steps before', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await using result = expectOk(await world.builder.build(request(AB)));
    expect(await Promise.all(['origin', 'a', 'b'].map((name) => readResult(result, name)))).toEqual([
      'base',
      'a',
      'b',
    ]);
  });

  it('takes everything from the cache the second time, and replays the saved logs', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const [first, second] = [listen(), listen()];
    const key = await built(world.builder, AB, first);
    expect(await built(world.builder, AB, second)).toBe(key);
    expect(world.sandbox.ran).toEqual(['a', 'b']);
    expect(first.sources()).toEqual(['ran', 'ran', 'ran']);
    expect(second.sources()).toEqual(['cache', 'cache', 'cache']);
    expect(second.output()).toBe('unpacked base\nwrote a\nwrote b\n');
    expect(second.output()).toBe(first.output());
  });

  it('finds saved steps again after it was closed', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const key = await built(world.builder, AB);
    expect(await built(await world.reopen(), AB)).toBe(key);
    expect(world.sandbox.ran).toEqual(['a', 'b']);
  });

  it('runs only what comes after the last saved step', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    await built(world.builder, AB);
    const heard = listen();
    await built(world.builder, AC, heard);
    expect(heard.sources()).toEqual(['cache', 'cache', 'ran']);
    expect(world.sandbox.ran).toEqual(['a', 'b', 'c']);
  });

  it('keeps a cache whose name is empty, and copies all there is for a source that is', async () => {
    const note: ScriptedCommand = async ({ request, mounts }) => {
      const file = join(mounts.get('/cache') ?? '', 'file');
      await request.output.write(`${await readFile(file, 'utf8').catch(() => 'nothing')}\n`);
      await writeFile(file, 'kept');
      return 0;
    };
    await using world = await openWorld({ first: note, second: note });
    await writeTree(join(world.dir, 'context'), { 'd/f': 'copied' });
    const using = (command: string): string =>
      `((from base) (run (cache ("" (target /cache))) (shell ${command})) (copy (src "") (dst ./)))`;
    const heard = listen();
    const more = { context: toHostPath(join(world.dir, 'context')), ...heard };
    await built(world.builder, using('first'), more);
    await using result = expectOk(await world.builder.build(request(using('second'), more)));
    expect(heard.output()).toContain('kept\n');
    expect(await readResult(result, 'd/f')).toBe('copied');
    expect(expectOk(await world.builder.caches.list())).toEqual(['']);
    expectOk(await world.builder.caches.remove(toCacheId('')));
    expect(expectOk(await world.builder.caches.list())).toEqual([]);
  });

  it('does not cache a step that failed, and tells its exit code [L8] [L14]', async () => {
    let exit = 7;
    await using world = await openWorld({ a: async () => exit });
    const spec = '((from base) (run (shell a)))';
    const error = expectErr(await world.builder.build(request(spec)));
    expect(error).toMatchObject({ type: 'step-failed', exit: { type: 'exited', code: 7 }, stage: 'main' });
    exit = 0;
    await built(world.builder, spec);
    expect(world.sandbox.ran).toEqual(['a', 'a']);
  });

  it('leaves nothing mounted and nothing active, also after a failure', async () => {
    await using world = await openWorld({ a: writes('a'), b: async () => 1 });
    expectErr(await world.builder.build(request(AB)));
    expect(world.store.mounted).toBe(0);
    expect(expectOk(await world.store.list())).toHaveLength(2);
  });

  it('gives a command the exact environment, with PATH and HOME, and the working directory', async () => {
    const seen: unknown[] = [];
    await using world = await openWorld({
      a: async ({ request: { env, cwd, user } }) => void seen.push(env, cwd, user) as undefined,
    });
    await built(
      world.builder,
      '((from base) (env A 1) (env A 2) (workdir /x) (workdir y) (user (uid 5) (gid 6)) (run (shell a)))',
    );
    expect(seen).toEqual([{ PATH: '/bin:/usr/bin', HOME: '/', A: '2' }, '/x/y', whoever({ uid: 5, gid: 6 })]);
  });

  // OBuilder handed on every value of a name, and which one counted was up to the runtime.
  it('has one value for each variable: the last of the spec, else that of the image [R14] [R15]', async () => {
    const seen: unknown[] = [];
    await using world = await openWorld({
      a: async ({ request: { env } }) => void seen.push(env) as undefined,
    });
    const spec = (env: string): string => `((from other) ${env} (run (shell a)))`;
    const key = await built(world.builder, spec('(env NAME one) (env HOME /h) (env NAME "two")'));
    expect(seen).toEqual([{ PATH: '/image/bin', HOME: '/h', LANG: 'C', NAME: 'two' }]);
    expect(await built(world.builder, spec('(env HOME /h) (env NAME two)'))).toBe(key);
  });

  it('builds again what vanished from the store behind its back [P4]', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    await built(world.builder, AB);
    for (const key of expectOk(await world.store.list())) expectOk(await world.store.remove(key));
    await using result = expectOk(await world.builder.build(request(AC)));
    expect(await readResult(result, 'a')).toBe('a');
    expect(world.sandbox.ran).toEqual(['a', 'b', 'a', 'c']);
  });

  it('builds a long chain again of which nothing is left, with or without its records', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    await using world = await openWorld(Object.fromEntries(names.map((name) => [name, writes(name)])));
    const spec = `((from base) ${names.map((name) => `(run (shell ${name}))`).join('')})`;
    await built(world.builder, spec);
    for (const key of expectOk(await world.store.list())) expectOk(await world.store.remove(key));
    await built(world.builder, spec);
    await rm(join(world.stateDir, 'steps'), { recursive: true });
    await built(world.builder, spec.replace(')))', ')) (run (shell a)))'));
    expect(world.sandbox.ran).toEqual([...names, ...names, ...names, 'a']);
  });

  it('takes for gone only what the store can say of that it is', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    await built(world.builder, AB);
    const [base, a, b] = expectOk(await world.builder.list()).map(({ key }) => key);
    expectOk(await world.store.remove(b as StepKey));
    const lookup = world.store.lookup.bind(world.store);
    world.store.lookup = async (key) =>
      key === base || key === a ? err(failed('the disk does not answer')) : lookup(key);
    await built(world.builder, '((from base) (run (shell a)) (run (shell b)) (run (shell c)))');
    expect(world.sandbox.ran).toEqual(['a', 'b', 'b', 'c']);
  });

  it('refuses a secret that was not given before anything runs', async () => {
    await using world = await openWorld({ a: writes('a') });
    const spec = '((from base) (run (secrets (token (target /t))) (shell a)))';
    expect(expectErr(await world.builder.build(request(spec)))).toMatchObject({
      type: 'missing-secret',
      id: 'token',
    });
    expect(world.sandbox.ran).toEqual([]);
  });

  it('has no secret value in the key, but the version [S8]', async () => {
    await using world = await openWorld({ a: writes('a') });
    const spec = '((from base) (run (secrets (token (target /t))) (shell a)))';
    const secret = (text: string, version?: string) => {
      const value = Buffer.from(text);
      return { secrets: new Map([['token', version === undefined ? value : { value, version }]]) };
    };
    const key = await built(world.builder, spec, secret('one'));
    expect(await built(world.builder, spec, secret('two'))).toBe(key);
    expect(await built(world.builder, spec, secret('two', '2'))).not.toBe(key);
  });
});

describe('stages', () => {
  const spec = `(
    (build one ((from base) (run (shell a))))
    (build two ((from base) (run (shell b))))
    (build unused ((from base) (run (shell never))))
    (from base)
    (copy (from (build one)) (src a) (dst /a1))
    (copy (from (build two)) (src b) (dst /b1)))`;

  it('that do not depend on each other run at the same time, unused ones not at all', async () => {
    const [a, b] = [gate('a'), gate('b')];
    await using world = await openWorld({
      a: async (io) => {
        await writes('a')(io);
        return a.command(io);
      },
      b: async (io) => {
        await writes('b')(io);
        return b.command(io);
      },
    });
    const result = world.builder.build(request(spec));
    await Promise.all([a.started, b.started]);
    a.open();
    b.open();
    await using done = expectOk(await result);
    expect(await readResult(done, 'a1')).toBe('a');
    expect(await readResult(done, 'b1')).toBe('b');
  });

  it('are not looked at when the last step is saved', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await built(world.builder, spec);
    const heard = listen();
    await built(world.builder, spec, heard);
    expect(heard.events.filter(({ type }) => type === 'stage-started')).toHaveLength(1);
    expect(heard.sources()).toEqual(['cache', 'cache', 'cache']);
  });

  it('that were rebuilt to the same files do not rebuild what follows', async () => {
    await using world = await openWorld({
      a: writes('out', 'same'),
      b: writes('out', 'same'),
      c: writes('c'),
    });
    const two = (command: string) => `((build one ((from base) (run (shell ${command}))))
      (from base) (copy (from (build one)) (src out) (dst /out)) (run (shell c)))`;
    const key = await built(world.builder, two('a'));
    const heard = listen();
    expect(await built(world.builder, two('b'), heard)).toBe(key);
    expect(world.sandbox.ran).toEqual(['a', 'c', 'b']);
    const again = listen();
    await built(world.builder, two('b'), again);
    expect(again.sources()).toEqual(['cache', 'cache', 'cache']);
  });

  it('stop when another stage fails, and the failure is what is told', async () => {
    const waiting = gate('waiting');
    await using world = await openWorld({
      a: waiting.command,
      b: async () => {
        await waiting.started;
        return 3;
      },
    });
    expect(expectErr(await world.builder.build(request(spec)))).toMatchObject({
      type: 'step-failed',
      stage: 'two',
    });
  });
});
