import { expectOk, needs } from '@snapstep/test-support';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { directoryVolume, toVolumeName } from '../../src/backend/index.ts';
import { DiskWatch, type StepWatch } from '../../src/build/disk-watch.ts';
import { isStoreShort, spareRules } from '../../src/build/spare-room.ts';
import { SmallDisk } from './small-disk.ts';

const rootfs = toVolumeName('rootfs');
const MIB = 1024 * 1024;

needs('root')('the watch over the disk of a step', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('sees that the disk was full for a moment in the middle', async () => {
    await using disk = await SmallDisk.make();
    const disks = new DiskWatch(spareRules());
    using step = watch(disks, disk);
    await using _mounted = await mount(step);
    await disk.fill();
    await vi.advanceTimersByTimeAsync(250);
    await disk.empty();
    expect(await step.judge()).toMatch(/^only \d+ of \d+ bytes are free$/);
  });

  it('looks all the more often the less is free', async () => {
    await using disk = await SmallDisk.make();
    const disks = new DiskWatch(spareRules());
    using step = watch(disks, disk);
    await disk.fill(20 * MIB);
    await using _mounted = await mount(step);
    await disk.fill();
    // 20 MiB take a fast disk ten milliseconds.
    await vi.advanceTimersByTimeAsync(11);
    await disk.empty();
    expect(await step.judge()).toBeDefined();
  });

  it('looks while something is mounted, and never else', async () => {
    await using disk = await SmallDisk.make();
    const disks = new DiskWatch(spareRules());
    using step = watch(disks, disk);
    expect(vi.getTimerCount()).toBe(0);
    {
      await using _one = await mount(step);
      await using _two = await mount(step);
      expect(vi.getTimerCount()).toBe(1);
    }
    expect(vi.getTimerCount()).toBe(0);
    await disk.fill();
    expect(await step.judge()).toBeUndefined();
  });

  it('sees that the disk is full when it is unmounted', async () => {
    await using disk = await SmallDisk.make();
    const disks = new DiskWatch(spareRules());
    using step = watch(disks, disk);
    {
      await using _mounted = await mount(step);
      await disk.fill();
    }
    await disk.empty();
    expect(await step.judge()).toBeDefined();
  });

  it('believes a step that ran beside another only while nobody found the disk full', async () => {
    await using disk = await SmallDisk.make();
    const disks = new DiskWatch(spareRules());
    using before = watch(disks, disk);
    disks.alarm();
    using after = watch(disks, disk);
    expect(await before.judge()).toBe('another step found the store full');
    expect(await after.judge()).toBeUndefined();
  });

  it.each([
    [{ isUsedUp: true, isStoreShort: false }, 'used-up'],
    [{ isUsedUp: true, isStoreShort: true }, 'used-up'],
    [{ isUsedUp: false, isStoreShort: true }, 'full'],
    // There is still a little left of what it may write.
    [{ isUsedUp: false, isStoreShort: false }, undefined],
  ] as const)(
    'tells a step that has used up what it may write from a full disk: %o',
    async (state, verdict) => {
      await using disk = await SmallDisk.make();
      const disks = new DiskWatch(spareRules());
      const allowance = {
        isUsedUp: async () => state.isUsedUp,
        isStoreShort: async () => state.isStoreShort,
      };
      using step = disks.begin(volumesOn(disk), allowance);
      await disk.fill(MIB);
      await using _mounted = await mount(step);
      await step.judge();
      expect(step.verdict).toBe(verdict);
      // What one step may write is no concern of the others.
      expect(disks.alarms).toBe(0);
    },
  );

  it('knows that what a step may write was used up though something was deleted since', async () => {
    await using disk = await SmallDisk.make();
    const disks = new DiskWatch(spareRules());
    const allowance = { isUsedUp: async () => false, isStoreShort: async () => false };
    using step = disks.begin(volumesOn(disk), allowance);
    await disk.fill();
    await using _mounted = await mount(step);
    await disk.empty();
    await step.judge();
    expect(step.verdict).toBe('used-up');
  });
});

needs('root')('the watch on a machine that is too busy to look', () => {
  it.each([
    ['believes a step', { wasFull: false }],
    ['does not believe a step if the disk was full not long ago', { wasFull: true }],
  ])('%s', async (_, { wasFull }) => {
    await using disk = await SmallDisk.make();
    const disks = new DiskWatch(spareRules());
    if (wasFull) disks.alarm();
    using step = watch(disks, disk);
    await using _mounted = await mount(step);
    stall();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect((await step.judge()) !== undefined).toBe(wasFull);
    expect(step.verdict).toBe(wasFull ? 'doubtful' : undefined);
    // Whoever ran beside it is not told that somebody saw it.
    expect(disks.alarms).toBe(wasFull ? 1 : 0);
  });

  it('is calm, and believes a step again, once the disk has not been full for a minute', async () => {
    await using disk = await SmallDisk.make();
    const disks = new DiskWatch(spareRules());
    disks.alarm();
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 59_800);
    try {
      const start = now();
      await disks.calm(new AbortController().signal);
      expect(now() - start).toBeGreaterThan(150);
      using step = watch(disks, disk);
      await using _mounted = await mount(step);
      stall();
      await new Promise((resolve) => setTimeout(resolve, 0));
      expect(await step.judge()).toBeUndefined();
    } finally {
      clock.mockRestore();
    }
  });

  it('is not waited for any more when the build is stopped', async () => {
    const disks = new DiskWatch(spareRules());
    disks.alarm();
    const stop = new AbortController();
    const calm = disks.calm(stop.signal);
    stop.abort(new Error('enough'));
    await expect(calm).rejects.toThrow('enough');
  });
});

describe('what must be left on a disk', () => {
  const rules = spareRules();

  it.each([
    ['a large disk', { axis: 'bytes', used: 0, total: 1024 * 1024 * MIB }, 32 * MIB],
    ['a small disk', { axis: 'bytes', used: 0, total: 100 * MIB }, 5 * MIB],
    ['many inodes', { axis: 'inodes', used: 0, total: 1_000_000 }, 1000],
    ['few inodes', { axis: 'inodes', used: 0, total: 400 }, 20],
    ['metadata', { axis: 'metadata-bytes', used: 0, total: 64 * MIB }, 8 * MIB],
    ['objects', { axis: 'objects', used: 0, total: 100 }, 1],
  ] as const)('of %s is so much and no more', (_, axis, spare) => {
    const withFree = (free: number) => isStoreShort([{ ...axis, used: axis.total - free }], rules);
    expect([withFree(spare - 1), withFree(spare)]).toEqual([true, false]);
  });

  it('is nothing where nobody knows how much there is', () => {
    expect(isStoreShort([{ axis: 'bytes', used: 1 }], rules)).toBe(false);
  });

  it.each([{ bytes: -1 }, { inodes: -1 }, { part: 1 }, { part: Number.NaN }])('cannot be %o', (spare) => {
    expect(() => spareRules(spare)).toThrow(RangeError);
  });
});

function watch(disks: DiskWatch, disk: SmallDisk): StepWatch {
  return disks.begin(volumesOn(disk));
}

/** Lets time go by in which no timer has its turn: enough to fill the disk. */
function stall(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
}

async function mount({ volumes }: StepWatch): Promise<AsyncDisposable> {
  const mounted = await volumes.get(rootfs)?.mount();
  if (mounted === undefined) throw new Error('the step has no volume');
  return expectOk(mounted);
}

function volumesOn(disk: SmallDisk): Parameters<DiskWatch['begin']>[0] {
  return new Map([[rootfs, directoryVolume(rootfs, disk.path)]]);
}
