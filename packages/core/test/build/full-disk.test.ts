import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { type LeasedSnapshot, ok } from '../../src/index.ts';
import { carelessly, openOn, SmallDisk, type SmallWorld } from './small-disk.ts';
import { built, gate, listen, request, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const B = '((from base) (run (shell b)))';
const C = '((from base) (run (shell c)))';
const MIB = 1024 * 1024;

needs('root')('a command that ends on a full disk', () => {
  it.each([
    ['bytes', (disk: SmallDisk) => disk.fill()],
    ['inodes', (disk: SmallDisk) => disk.fillInodes()],
  ])('is run again once there is room, and what it left for lack of %s is not kept', async (_, fill) => {
    await using disk = await SmallDisk.make();
    const a = carelessly('a', async (times) => (times === 1 ? fill(disk) : undefined));
    await using world = await openOn(disk, { a });
    emptiedForRoom(world, disk);
    const heard = listen();
    await using result = expectOk(await world.builder.build(request(A, heard)));
    expect(await sizeOf(result, 'a')).toBe(MIB);
    expect(world.sandbox.ran).toEqual(['a', 'a']);
    expect(heard.output()).toContain('The disk is full: making room, then trying once more.');
  });

  it('is run again where it failed: the disk may be why', async () => {
    await using disk = await SmallDisk.make();
    let times = 0;
    await using world = await openOn(disk, {
      a: async () => {
        times += 1;
        if (times > 1) return 0;
        await disk.fill();
        return 1;
      },
    });
    emptiedForRoom(world, disk);
    await built(world.builder, A);
    expect(world.sandbox.ran).toEqual(['a', 'a']);
  });

  it('fails with `no-space` where the disk stays full, and nothing of it is kept', async () => {
    await using disk = await SmallDisk.make();
    await using world = await openOn(disk, { a: carelessly('a', () => disk.fill()), b: writes('b') });
    const error = expectErr(await world.builder.build(request(A)));
    expect(error).toMatchObject({ type: 'store', error: { type: 'no-space' } });
    expect(error).toMatchObject({ message: expect.stringMatching(/only 0 of \d+ bytes are free/) });
    await disk.empty();
    expect(expectOk(await world.builder.list()).map(({ title }) => title)).toEqual(['(from base)']);
    await built(world.builder, B);
  });

  it('costs nothing that is saved, where what it wrote is all that has to go', async () => {
    await using disk = await SmallDisk.make();
    const a = carelessly('a', async (times) => (times === 1 ? disk.fill() : undefined));
    await using world = await openOn(disk, { a, b: writes('b') });
    await built(world.builder, B);
    emptiedForRoom(world, disk);
    await built(world.builder, A);
    expect(expectOk(await world.builder.list())).toHaveLength(3);
  });

  it('is run a third time with more room, where a tenth of the disk was not enough', async () => {
    await using disk = await SmallDisk.make();
    const saved = Object.fromEntries(
      Array.from({ length: 21 }, (_, i) => [`s${i}`, carelessly('s')] as const),
    );
    await using world = await openOn(disk, { ...saved, a: carelessly('a', undefined, 6 * MIB) });
    for (const name of Object.keys(saved)) await built(world.builder, `((from base) (run (shell ${name})))`);
    await using result = expectOk(await world.builder.build(request(A)));
    expect(await sizeOf(result, 'a')).toBe(6 * MIB);
    expect(world.sandbox.ran.filter((name) => name === 'a')).toHaveLength(3);
    expect(expectOk(await world.builder.list()).length).toBeGreaterThan(8);
  });

  it('that was made by a step which nothing else can make room for fails, and others go on', async () => {
    await using disk = await SmallDisk.make();
    // Half of what it writes.
    const greedy = carelessly('a', () => disk.fill(MIB / 2));
    await using world = await openOn(disk, {
      a: async (io) => {
        const exit = await greedy(io);
        // The disk is looked at now and then: four times a second at least. A timer alone would look as if all stood still.
        await execa('sleep', ['1']);
        await disk.empty();
        return exit;
      },
      b: writes('b'),
    });
    const [a, b] = await Promise.all([A, B].map((spec) => world.builder.build(request(spec))));
    expect(expectErr(a as NonNullable<typeof a>)).toMatchObject({
      type: 'store',
      error: { type: 'no-space' },
    });
    await expectOk(b as NonNullable<typeof b>)[Symbol.asyncDispose]();
  });

  it('is not believed to have kept its cache either', async () => {
    await using disk = await SmallDisk.make();
    const a = carelessly('a', async (times) => (times === 1 ? disk.fill() : undefined));
    await using world = await openOn(disk, {
      a: async (io) => {
        const cache = io.mounts.get('/cache');
        if (cache) await writes('half')({ ...io, root: cache }).catch(() => {});
        return a(io);
      },
    });
    const spec = '((from base) (run (cache (c (target /cache))) (shell a)))';
    const stop = new AbortController();
    world.store.reclaimed = async () => {
      stop.abort(new Error('enough'));
      return ok();
    };
    expectErr(await world.builder.build(request(spec, { signal: stop.signal })));
    expect(expectOk(await world.builder.caches.list())).toEqual([]);
  });

  it('of whose limit was exceeded has failed, however full the disk is', async () => {
    await using disk = await SmallDisk.make();
    await using world = await openOn(disk, {
      a: async () => {
        await disk.fill();
        return { type: 'limit-exceeded', limit: 'timeoutMs' };
      },
    });
    expect(expectErr(await world.builder.build(request(A)))).toMatchObject({ type: 'step-failed' });
    expect(world.sandbox.ran).toEqual(['a']);
  });

  it('has used up what it may write, though there is room again by now', async () => {
    await using disk = await SmallDisk.make();
    await using world = await openOn(disk, { a: async () => void (await disk.fill()) as undefined });
    await built(world.builder, '((from base))');
    const run = world.sandbox.run.bind(world.sandbox);
    world.sandbox.run = async (...asked) => {
      const exit = await run(...asked);
      await disk.empty();
      return exit;
    };
    const error = expectErr(await world.builder.build(request(A, { diskBytes: 30 * MIB })));
    const exit = { type: 'limit-exceeded', limit: 'diskBytes' };
    expect(error).toMatchObject({ type: 'step-failed', exit });
    expect(world.sandbox.ran).toEqual(['a']);
  });

  it('is run again where the store is full, and not what it may write used up', async () => {
    await using disk = await SmallDisk.make();
    const a = carelessly('a', async (times) => (times === 1 ? disk.fill() : undefined));
    await using world = await openOn(disk, { a });
    await built(world.builder, '((from base))');
    world.store.usage = async () => ok([{ axis: 'bytes', used: 10, total: 10 }]);
    emptiedForRoom(world, disk);
    await built(world.builder, A, { diskBytes: 30 * MIB });
    expect(world.sandbox.ran).toEqual(['a', 'a']);
  });

  it('is trusted where the builder was told to trust it', async () => {
    await using disk = await SmallDisk.make();
    const script = { a: carelessly('a', () => disk.fill()) };
    await using world = await openOn(disk, script, { spareRoom: { bytes: 0 } });
    await built(world.builder, A);
    expect(world.sandbox.ran).toEqual(['a']);
  });
});

needs('root')('a command', () => {
  it('that ran while another step found the store full is run again', async () => {
    await using disk = await SmallDisk.make();
    const [a, started] = [gate(''), Promise.withResolvers<void>()];
    let times = 0;
    await using world = await openOn(disk, {
      a: async (io) => {
        times += 1;
        if (times > 1) return 0;
        started.resolve();
        return a.command(io);
      },
      // It is found full by this one, which takes its time until the disk has room again.
      b: carelessly('b', async (round) => (round === 1 ? disk.fill() : undefined)),
    });
    const first = built(world.builder, A);
    await started.promise;
    emptiedForRoom(world, disk);
    await built(world.builder, B);
    a.open();
    await first;
    expect(world.sandbox.ran).toEqual(['a', 'b', 'b', 'a']);
  });

  it('that ran after the disk had been full is trusted', async () => {
    await using disk = await SmallDisk.make();
    const a = carelessly('a', async (times) => (times === 1 ? disk.fill() : undefined));
    await using world = await openOn(disk, { a, c: writes('c') });
    emptiedForRoom(world, disk);
    await built(world.builder, A);
    await built(world.builder, C);
    expect(world.sandbox.ran).toEqual(['a', 'a', 'c']);
  });
});

/** As on a disk that takes a while to give back what was deleted: what filled it goes once room is to be made. */
function emptiedForRoom({ store }: SmallWorld, disk: SmallDisk): void {
  store.reclaimed = async () => {
    await disk.empty();
    return ok();
  };
}

async function sizeOf({ snapshot }: LeasedSnapshot, name: string): Promise<number> {
  const [volume] = snapshot.volumes.values();
  if (volume === undefined) throw new Error('the snapshot has no volume');
  await using mounted = expectOk(await volume.mount());
  return (await stat(join(mounted.path, name))).size;
}
