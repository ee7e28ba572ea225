import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { pacer, takeTurn } from '../../src/plan/pacer.ts';
import { work } from './busy.ts';

describe('who works for long', () => {
  it('lets others have a turn every few milliseconds, and hears of an abort then', async () => {
    const stop = new AbortController();
    const pause = pacer(stop.signal);
    let turns = 0;
    void setImmediate().then(() => {
      turns += 1;
    });
    work(12);
    await pause();
    expect(turns).toBe(1);
    stop.abort(new Error('enough'));
    expect(await untilPaused(pause)).toEqual(new Error('enough'));
  });

  it('goes on without a turn between two of them', async () => {
    const pause = pacer(new AbortController().signal);
    work(12);
    await pause();
    // A busy machine may take its time between two lines.
    const tries = Array.from({ length: 20 }, () => pause());
    expect(tries).toContain(undefined);
    await Promise.all(tries);
  });

  it('has its turn behind all who asked before, one each time that the process looks round', async () => {
    const had: string[] = [];
    for (const name of ['first', 'second', 'third']) void takeTurn().then(() => had.push(name));
    const each: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const before = had.length;
      await setImmediate();
      each.push(had.length - before);
    }
    expect(Math.max(...each)).toBe(1);
    expect(had).toEqual(['first', 'second', 'third']);
  });

  it('has it also where another that waited was aborted', async () => {
    const [stop, other] = [new AbortController(), new AbortController()];
    const aborted = pacer(stop.signal)()?.catch((error: unknown) => error);
    const next = pacer(other.signal)();
    stop.abort(new Error('enough'));
    expect(await aborted).toEqual(new Error('enough'));
    expect(await next).toBeUndefined();
  });

  it('has it where the timers of the program are not real', async () => {
    vi.useFakeTimers();
    try {
      let had = false;
      void takeTurn().then(() => {
        had = true;
      });
      for (let round = 0; round < 5; round += 1) await setImmediate();
      expect(had).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });
});

async function untilPaused(pause: () => Promise<void> | undefined): Promise<unknown> {
  work(12);
  try {
    await pause();
    return 'it was not aborted';
  } catch (error) {
    return error;
  }
}
