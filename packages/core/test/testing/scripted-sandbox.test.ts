import { once } from 'node:events';
import { readFile, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Script, scriptedSandbox, virtualClock } from '@snapstep/core/testing';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { listen, openWorld, readResult, request } from '../build/world.ts';

const THREE = '((from base) (run (shell one)) (run (shell two)) (run (shell three)))';

describe('a scripted sandbox with a queue', () => {
  it('runs commands in order, each with its output, its files and its end', async () => {
    await using world = await openWorld([
      { command: 'one', prints: 'hello\n', writes: { '/a/new': 'text' } },
      { command: /^tw/, writes: { '/origin': null, '/a/new': Buffer.from('other') } },
      { command: ({ argv }) => argv.includes('three'), ends: 0 },
    ]);
    const heard = listen();
    await using result = expectOk(await world.builder.build(request(THREE, { onEvent: heard.onEvent })));
    expect(heard.output()).toBe('unpacked base\nhello\n');
    expect(await readResult(result, 'a/new')).toBe('other');
    await expect(readResult(result, 'origin')).rejects.toMatchObject({ code: 'ENOENT' });
    world.sandbox.done();
  });
  it('says what was expected where something else is run', async () => {
    await using world = await openWorld([{ command: 'two' }]);
    const message = 'the command "one" was not expected, but "two"';
    await expect(world.builder.build(request(THREE))).rejects.toThrow(message);
    expect(() => world.sandbox.done()).toThrow(`${message}\n"two" was never run`);
  });
  it('says so where nothing more was expected', async () => {
    await using world = await openWorld([{ command: 'one' }]);
    await expect(world.builder.build(request(THREE))).rejects.toThrow(
      '"two" was not expected, but no more commands',
    );
    expect(() => world.sandbox.done()).toThrow('"two" was not expected');
  });
  it('tells what was never run: by done(), and as a warning when it is disposed', async () => {
    const sandbox = scriptedSandbox([{ command: 'one' }, { command: /two/ }]);
    const lines = '"one" was never run\n/two/ was never run';
    expect(() => sandbox.done()).toThrow(lines);
    const warned = once(process, 'warning');
    await sandbox[Symbol.asyncDispose]();
    expect((await warned)[0]).toMatchObject({ name: 'ScriptedSandboxWarning', message: lines });
  });
  it('takes the commands of one group in any order, and what follows after all of them', async () => {
    await using world = await openWorld([[{ command: 'b' }, { command: 'a' }], { command: 'end' }]);
    const text =
      '((build s ((from base) (run (shell a)))) (from other) (run (shell b)) (copy (from (build s)) (src /origin) (dst /o)) (run (shell end)))';
    expectOk(await world.builder.build(request(text)));
    expect([...world.sandbox.ran].sort()).toEqual(['a', 'b', 'end']);
    world.sandbox.done();
  });
  it('ends commands by a code, by a signal, or as a limit would', async () => {
    const signalled = { type: 'signalled', signal: 'SIGSEGV' } as const;
    const limited = { type: 'limit-exceeded', limit: 'memoryBytes' } as const;
    await using world = await openWorld([3, signalled, limited].map((ends) => ({ command: 'one', ends })));
    const exits = [];
    for (let i = 0; i < 3; i += 1) exits.push(expectErr(await world.builder.build(request(THREE))));
    expect(exits).toMatchObject([
      { exit: { type: 'exited', code: 3 } },
      { exit: signalled },
      { exit: limited },
    ]);
  });
  it('holds a command that never ends until its build is cancelled', async () => {
    await using world = await openWorld([{ command: 'one', prints: 'started\n', ends: 'never' }]);
    const controller = new AbortController();
    const onEvent = (event: { readonly type: string; readonly chunk?: Uint8Array }): void => {
      if (event.chunk && Buffer.from(event.chunk).toString() === 'started\n') controller.abort('enough');
    };
    const built = await world.builder.build(request(THREE, { onEvent, signal: controller.signal }));
    expect(expectErr(built)).toMatchObject({ type: 'cancelled', reason: 'enough' });
    expect(world.store.mounted).toBe(0);
  });
  it('writes into a cache where a path lies in one', async () => {
    await using world = await openWorld([
      { command: 'one', writes: { '/cache/deep/file': 'kept' } },
      {
        command: 'two',
        does: async ({ mounts }) =>
          Number(await readFile(join(mounts.get('/cache') ?? '', 'deep/file'), 'utf8')) || 7,
      },
    ]);
    const run = (text: string) => `(run (cache (c (target /cache))) (shell ${text}))`;
    const built = await world.builder.build(request(`((from base) ${run('one')} ${run('two')})`));
    expect(expectErr(built)).toMatchObject({ exit: { code: 7 } });
  });
  it('writes inside the step also where a link of it leads out', async () => {
    await using world = await openWorld([
      { command: 'one', does: async ({ root }) => void (await symlink('/', join(root, 'out'))) as never },
      { command: 'two', writes: { '/out/snapstep-was-here': 'inside' } },
      { command: 'three' },
    ]);
    await using result = expectOk(await world.builder.build(request(THREE)));
    expect(await readResult(result, 'snapstep-was-here')).toBe('inside');
    await expect(stat('/snapstep-was-here')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the limits of a scripted sandbox', () => {
  it('are none without a clock, so a build with one is refused before anything runs', async () => {
    await using world = await openWorld([{ command: 'one' }]);
    const built = await world.builder.build(request(THREE, { limits: { timeoutMs: 1000 } }));
    expect(expectErr(built)).toMatchObject({ type: 'unenforceable-limit', limit: 'timeoutMs' });
    expect(world.sandbox.ran).toEqual([]);
  });
  it('end a command at its time on the clock, and not before', async () => {
    const limits = { timeoutMs: 60_000 };
    const failure = await endedBy({ takes: 60_001, limits, advance: 60_000 });
    expect(failure).toMatchObject({ exit: { type: 'limit-exceeded', limit: 'timeoutMs' } });
    expect(await endedBy({ takes: 59_999, limits, advance: 59_999 })).toBeUndefined();
  });
  it('end a command that is silent for too long, counted from its last word', async () => {
    const clock = virtualClock();
    const talks: Script = [
      {
        command: 'one',
        does: async ({ request: { output }, sleep }) => {
          for (let i = 0; i < 5; i += 1) {
            await sleep(900);
            await output.write('.');
          }
          await sleep(1001);
          return 0;
        },
      },
    ];
    await using world = await openWorld(talks, { clock });
    const built = world.builder.build(request(THREE, { limits: { silenceMs: 1000 } }));
    for (let word = 0; word < 5; word += 1) {
      await clock.untilSleep();
      await clock.advance(900);
    }
    await clock.untilSleep();
    await clock.advance(1000);
    expect(expectErr(await built)).toMatchObject({ exit: { type: 'limit-exceeded', limit: 'silenceMs' } });
    expect(clock.elapsed()).toBe(5500);
  });
});

async function endedBy(step: {
  readonly takes: number;
  readonly limits: { readonly timeoutMs: number };
  readonly advance: number;
}) {
  const clock = virtualClock();
  await using world = await openWorld([{ command: 'one', takesMs: step.takes }], { clock });
  const built = world.builder.build(request('((from base) (run (shell one)))', { limits: step.limits }));
  await clock.untilSleep();
  await clock.advance(step.advance);
  const result = await built;
  if (result.isErr()) return result.error;
  await result.value[Symbol.asyncDispose]();
  return undefined;
}
