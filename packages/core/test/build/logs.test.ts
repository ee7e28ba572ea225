import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import {
  type Builder,
  type BuilderUsageAxis,
  err,
  ok,
  type StepKey,
  type StoreError,
} from '../../src/index.ts';
import type { ScriptedCommand } from '../../src/testing/index.ts';
import { built, gate, listen, openWorld, request, type World } from './world.ts';

const RUN = (name: string): string => `((from base) (run (shell ${name})))`;

/** Prints so many bytes, in lines of ten. */
function prints(bytes: number, exit = 0): ScriptedCommand {
  return async ({ request: { output } }) => {
    for (let done = 0; done < bytes; done += 10) await output.write('123456789\n');
    return exit;
  };
}

async function logOf(builder: Builder, key: StepKey): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of expectOk(await builder.log(key))?.follow() ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** The key of a build that fails in its command. */
async function failed(builder: Builder, text: string): Promise<StepKey> {
  const error = expectErr(await builder.build(request(text)));
  if (error.type !== 'step-failed') throw new Error(`the build ended otherwise: ${error.type}`);
  return error.key;
}

async function used(builder: Builder, axis: BuilderUsageAxis['axis']): Promise<number | undefined> {
  return expectOk(await builder.usage()).find((one) => one.axis === axis)?.used;
}

async function logFiles({ stateDir }: World): Promise<string[]> {
  const names = await readdir(join(stateDir, 'logs'), { recursive: true });
  return names.filter((name) => name.endsWith('.log'));
}

describe('the log of a step', () => {
  it('is limited by its build, or else by the builder, and is played again as it was kept', async () => {
    await using world = await openWorld({ a: prints(1000), b: prints(1000) }, { logBytes: 100 });
    for (const [name, limits, most] of [['a', {}, 100] as const, ['b', { logBytes: 200 }, 200] as const]) {
      const [live, played] = [listen(), listen()];
      const key = await built(world.builder, RUN(name), { limits, ...live });
      await built(world.builder, RUN(name), { limits, ...played });
      const log = await logOf(world.builder, key);
      expect(log).toMatch(new RegExp(`^(123456789\n)+\\[.* limited to ${most} bytes .*\\]\n(123456789\n)+$`));
      expect(log.length).toBeLessThan(most + 100);
      expect(played.output()).toBe(`unpacked base\n${log}`);
      expect(live.output()).toMatch(/^unpacked base\n(123456789\n)+/);
    }
  });

  it('has a limit that is the business of no sandbox, and that cannot be nothing', async () => {
    await using world = await openWorld({
      a: async ({ request: { limits, output } }) => {
        await output.write(JSON.stringify(limits));
        return 0;
      },
    });
    const heard = listen();
    await built(world.builder, RUN('a'), { limits: { logBytes: 1000 }, ...heard });
    expect(heard.output()).toBe('unpacked base\n{}');
    for (const logBytes of [0, -1, Number.NaN]) {
      await expect(world.builder.build(request(RUN('b'), { limits: { logBytes } }))).rejects.toThrow(
        'logBytes is',
      );
    }
  });

  it('that is over its limit is heard whole by a build that keeps up, and by one that joins', async () => {
    const busy = gate('');
    const chatty: typeof busy.command = async (io) => {
      await prints(50)(io);
      await busy.command(io);
      await prints(500)(io);
      return 0;
    };
    await using world = await openWorld({ chatty }, { logBytes: 100 });
    const [first, second] = [listen(), listen()];
    const one = world.builder.build(request(RUN('chatty'), first));
    await busy.started;
    const two = world.builder.build(request(RUN('chatty'), second));
    while (!second.events.some(({ type }) => type === 'step-output')) await new Promise(setImmediate);
    busy.open();
    for (const result of await Promise.all([one, two])) await expectOk(result)[Symbol.asyncDispose]();
    for (const heard of [first, second]) {
      expect(heard.output()).toMatch(/^unpacked base\n(123456789\n){5}.*123456789\n$/s);
    }
  });

  it('is a failure, and no rejection, where it cannot be read', async () => {
    await using world = await openWorld({ a: prints(10) });
    const key = await built(world.builder, RUN('a'));
    const path = join(world.stateDir, 'logs', key.slice(0, 2), `${key}.log`);
    await rm(path);
    await mkdir(path);
    expect(expectErr(await world.builder.log(key))).toMatchObject({ type: 'failed' });
    const heard = listen();
    await built(world.builder, RUN('a'), heard);
    expect(heard.events).toContainEqual(
      expect.objectContaining({ type: 'note', text: expect.stringContaining('is not a file') }),
    );
    expectOk(await world.builder.prune({}));
    expect(await logFiles(world)).toEqual([]);
  });

  it('that is empty or missing, as after a power cut, is an empty one', async () => {
    await using world = await openWorld({ a: prints(10) });
    const key = await built(world.builder, RUN('a'));
    const path = join(world.stateDir, 'logs', key.slice(0, 2), `${key}.log`);
    for (const damage of [() => writeFile(path, ''), () => rm(path)]) {
      await damage();
      const heard = listen();
      await built(world.builder, RUN('a'), heard);
      expect(heard.output()).toBe('unpacked base\n');
      expect(heard.sources()).toEqual(['cache', 'cache']);
      expect(await logOf(world.builder, key)).toBe('');
    }
  });
});

describe('logs of steps that failed', () => {
  it('go with a prune of everything, and are told by usage until then', async () => {
    await using world = await openWorld({ a: prints(100), bad: prints(1000, 1) });
    await built(world.builder, RUN('a'));
    const bad = await failed(world.builder, RUN('bad'));
    expect(await used(world.builder, 'failed-log-bytes')).toBe(1000);
    expect(await used(world.builder, 'log-bytes')).toBe(1100 + 'unpacked base\n'.length);
    expectOk(await world.builder.prune({ maxObjects: 10 }));
    expect((await logOf(world.builder, bad)).length).toBe(1000);
    expect(expectOk(await world.builder.prune({})).logBytes).toBe(1000);
    expect(expectOk(await world.builder.log(bad))).toBeUndefined();
    expect(await logFiles(world)).toEqual([]);
    expect(await used(world.builder, 'log-bytes')).toBe(0);
  });

  it('go when they were written before what the policy says', async () => {
    await using world = await openWorld({ bad: prints(10, 1), worse: prints(10, 1) });
    const [old, young] = [await failed(world.builder, RUN('bad')), await failed(world.builder, RUN('worse'))];
    const yesterday = new Date(Date.now() - 24 * 3600 * 1000);
    await utimes(join(world.stateDir, 'logs', old.slice(0, 2), `${old}.log`), yesterday, yesterday);
    expectOk(await world.builder.prune({ unusedSince: new Date(Date.now() - 3600 * 1000) }));
    expect(expectOk(await world.builder.log(old))).toBeUndefined();
    expect((await logOf(world.builder, young)).length).toBe(10);
  });

  it('are kept for so long and in so many bytes as the builder was told, the youngest of them', async () => {
    await using world = await openWorld(
      { bad: prints(400, 1) },
      { keepFailedLogs: { maxBytes: 1000, maxAgeMs: 3600 * 1000 } },
    );
    const keys: StepKey[] = [];
    for (let i = 0; i < 8; i += 1) {
      keys.push(await failed(world.builder, `((from base) (env N ${i}) (run (shell bad)))`));
      expect(await used(world.builder, 'failed-log-bytes')).toBeLessThanOrEqual(1000);
    }
    const left = [];
    for (const key of keys) if (expectOk(await world.builder.log(key))) left.push(key);
    expect(left).toEqual(keys.slice(-2));
    const [aged, last] = left as [StepKey, StepKey];
    const before = new Date(Date.now() - 2 * 3600 * 1000);
    await utimes(join(world.stateDir, 'logs', aged.slice(0, 2), `${aged}.log`), before, before);
    expectOk(await world.builder.prune({ limit: 1 }));
    expect(expectOk(await world.builder.log(aged))).toBeUndefined();
    expect((await logOf(world.builder, last)).length).toBe(400);
  });

  it('stay when room is made on the disk of the store, where they are not', async () => {
    const full: StoreError = { type: 'no-space', message: 'the disk is full' };
    await using world = await openWorld({ a: prints(10), bad: prints(10, 1) });
    const bad = await failed(world.builder, RUN('bad'));
    const prepare = world.store.prepare.bind(world.store);
    let isFull = true;
    world.store.prepare = async (how) => (isFull && 'snapshot' in how.from ? err(full) : prepare(how));
    world.store.remove = async () => {
      isFull = false;
      return ok();
    };
    const heard = listen();
    expect(await logFiles(world)).toContain(join(bad.slice(0, 2), `${bad}.log`));
    await world.builder.build(request(RUN('a'), heard));
    expect(await logFiles(world)).toContain(join(bad.slice(0, 2), `${bad}.log`));
    expect(heard.output()).toContain('The disk is full: making room');
  });

  it('are not touched while their step runs again', async () => {
    const busy = gate('it runs\n');
    let fails = true;
    await using world = await openWorld({ a: (io) => (fails ? prints(10, 1)(io) : busy.command(io)) });
    const key = await failed(world.builder, RUN('a'));
    fails = false;
    const running = world.builder.build(request(RUN('a')));
    await busy.started;
    expectOk(await world.builder.prune({}));
    busy.open();
    await expectOk(await running)[Symbol.asyncDispose]();
    expect(await logOf(world.builder, key)).toBe('it runs\n');
  });
});
