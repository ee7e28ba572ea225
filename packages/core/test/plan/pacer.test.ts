import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { pacer, takeTurn } from '../../src/plan/pacer.ts';
import { work } from './busy.ts';

describe('who works for long', () => {
  it('waits for its turn before it begins, and lets others have one every few milliseconds', async () => {
    const pause = pacer(new AbortController().signal);
    for (let round = 0; round < 3; round += 1) {
      let turns = 0;
      void setImmediate().then(() => {
        turns += 1;
      });
      await pause();
      expect(turns).toBe(1);
      work(12);
    }
  });

  it('goes on without a turn between two of them', async () => {
    const pause = pacer(new AbortController().signal);
    await pause();
    // A busy machine may take its time between two lines.
    const tries = Array.from({ length: 20 }, () => pause());
    expect(tries).toContain(undefined);
    await Promise.all(tries);
  });

  it('hears of an abort at its next turn', async () => {
    const stop = new AbortController();
    const pause = pacer(stop.signal);
    await pause();
    stop.abort(new Error('enough'));
    work(12);
    await expect(pause()).rejects.toThrow('enough');
  });

  it('has its turn alone: the process goes on between it and the next one', async () => {
    const order: string[] = [];
    const worker = async (name: string): Promise<void> => {
      const pause = pacer(new AbortController().signal);
      for (let round = 1; round <= 2; round += 1) {
        await pause();
        order.push(`${name}${round}`);
        // What others wait for comes between two turns.
        setTimeout(() => order.push('others'));
        work(12);
      }
    };
    await Promise.all(['a', 'b', 'c'].map(worker));
    expect(order.filter((name) => name !== 'others')).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'c2']);
    expect(order.slice(0, 5)).toEqual(['a1', 'others', 'b1', 'others', 'c1']);
  });

  it('keeps nobody from a turn where it is stopped while it waits', async () => {
    const stop = new AbortController();
    const stopped = pacer(stop.signal)();
    const next = takeTurn();
    stop.abort(new Error('enough'));
    await expect(stopped).rejects.toThrow('enough');
    await next;
    await takeTurn();
  });

  it('has its turn where the timers of the program are not real', async () => {
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
