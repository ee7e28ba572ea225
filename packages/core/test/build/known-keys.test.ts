import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { built, gate, openWorld, request, writes } from './world.ts';

describe('the known keys', () => {
  it('are those of steps that are saved, that run and that failed, by how they begin', async () => {
    const { command, started, open } = gate('running\n');
    await using world = await openWorld({ a: writes('a'), b: async () => 3, c: command });
    const keysOf = async (prefix: string) => expectOk(await world.builder.keys(prefix));
    expect(await keysOf('')).toEqual([]);
    const saved = await built(world.builder, '((from base) (run (shell a)))');
    const failed = expectErr(await world.builder.build(request('((from base) (run (shell b)))')));
    if (failed.type !== 'step-failed') throw new Error('b was to fail');
    const running = built(world.builder, '((from base) (run (shell c)))');
    await started;
    const base = expectOk(await world.builder.list()).find(({ title }) => title === '(from base)');
    const all = await keysOf('');
    expect(all).toHaveLength(4);
    expect([...all].sort()).toEqual(all);
    for (const key of [saved, failed.key, base?.key ?? '']) {
      expect(await keysOf(key)).toEqual([key]);
      for (const length of [1, 2, 8]) {
        const prefix = key.slice(0, length);
        expect(await keysOf(prefix)).toEqual(all.filter((each) => each.startsWith(prefix)));
      }
    }
    open();
    expect(all).toContain(await running);
  });

  it('are none for what is no beginning of a key', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, '((from base) (run (shell a)))');
    for (const text of ['../', 'ABCD', '/etc', '0'.repeat(65)]) {
      expect(expectOk(await world.builder.keys(text))).toEqual([]);
    }
  });
});
