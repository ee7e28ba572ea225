import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { built, gate, listen, openWorld, readResult, request, type World, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const OLD = '((from base) (run (shell old)))';
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

async function titles({ builder }: World): Promise<readonly string[]> {
  return expectOk(await builder.list())
    .map(({ title }) => title)
    .sort();
}
