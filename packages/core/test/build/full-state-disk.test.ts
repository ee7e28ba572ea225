import { expectErr, expectOk, needs } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { carelessly, openOn, SmallDisk } from './small-disk.ts';
import { built, request, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const B = '((from base) (run (shell b)))';
const C = '((from base) (run (shell c)))';
const MIB = 1024 * 1024;

needs('root')('a full disk of the builder itself', () => {
  it('is named where a log finds no room, and no step of a store elsewhere is pruned for it', async () => {
    await using disk = await SmallDisk.make();
    await using stateDisk = await SmallDisk.make();
    const loud = async ({ request: { output } }: Parameters<ReturnType<typeof writes>>[0]) => {
      await stateDisk.fill();
      await output.write('word\n'.repeat(MIB));
      return 0;
    };
    await using world = await openOn(disk, { a: loud, b: writes('b') }, { stateDisk });
    await built(world.builder, B);
    const before = expectOk(await world.builder.list()).length;
    const error = expectErr(await world.builder.build(request(A)));
    expect(error).toMatchObject({ type: 'store', error: { type: 'no-space' } });
    expect(error).toMatchObject({ message: expect.stringContaining(`${stateDisk.path}/state is full`) });
    expect(expectOk(await world.builder.list())).toHaveLength(before);
    await stateDisk.empty();
    await built(world.builder, C.replace('c', 'b'));
  });

  it('loses the logs of steps that failed before anything else', async () => {
    await using disk = await SmallDisk.make();
    await using stateDisk = await SmallDisk.make();
    let times = 0;
    await using world = await openOn(
      disk,
      {
        a: async ({ request: { output } }) => {
          times += 1;
          if (times === 1) await stateDisk.fill(MIB / 2);
          await output.write('word\n'.repeat(MIB / 5));
          return 0;
        },
        b: writes('b'),
        fails: async ({ request: { output } }) => {
          await output.write('fail\n'.repeat((8 * MIB) / 5));
          return 1;
        },
      },
      { stateDisk },
    );
    await built(world.builder, B);
    expectErr(await world.builder.build(request(A.replace('shell a', 'shell fails'))));
    await built(world.builder, A);
    expect(world.sandbox.ran).toEqual(['b', 'fails', 'a', 'a']);
    expect(expectOk(await world.builder.list())).toHaveLength(3);
  });

  it('has room again when others have made it, and the step is tried once more', async () => {
    await using disk = await SmallDisk.make();
    await using stateDisk = await SmallDisk.make();
    let times = 0;
    await using world = await openOn(
      disk,
      {
        a: async ({ request: { output } }) => {
          times += 1;
          if (times > 1) return 0;
          await stateDisk.fill();
          try {
            await output.write('word\n'.repeat(MIB));
          } finally {
            await stateDisk.empty();
          }
          return 0;
        },
      },
      { stateDisk },
    );
    await built(world.builder, A);
    expect(world.sandbox.ran).toEqual(['a', 'a']);
  });

  it('where the store is too is pruned for a log', async () => {
    await using disk = await SmallDisk.make();
    let times = 0;
    await using world = await openOn(
      disk,
      {
        a: async ({ request: { output } }) => {
          times += 1;
          if (times > 1) return 0;
          await disk.fill();
          await output.write('word\n'.repeat(MIB));
          return 0;
        },
        b: carelessly('b'),
      },
      { stateDisk: disk },
    );
    await built(world.builder, B);
    expectErr(await world.builder.build(request(A)));
    expect(expectOk(await world.builder.list()).map(({ title }) => title)).toEqual(['(from base)']);
  });

  it('leaves no snapshot of a step in the store that the index has no room to know of', async () => {
    await using disk = await SmallDisk.make();
    await using stateDisk = await SmallDisk.make();
    await using world = await openOn(
      disk,
      { a: async () => void (await stateDisk.fill()) as undefined, b: writes('b') },
      { stateDisk },
    );
    const base = await built(world.builder, '((from base))');
    const remove = world.store.remove.bind(world.store);
    world.store.remove = async (key) => {
      for (let i = 0; i < 50; i += 1) await new Promise(setImmediate);
      return remove(key);
    };
    const error = expectErr(await world.builder.build(request(A)));
    expect(error).toMatchObject({ type: 'store', error: { type: 'no-space' } });
    expect(expectOk(await world.store.list())).toEqual([base]);
    await stateDisk.empty();
    await built(world.builder, B);
  });
});
