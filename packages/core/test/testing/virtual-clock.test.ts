import { virtualClock } from '@snapstep/core/testing';
import { describe, expect, it } from 'vitest';

describe('the virtual clock', () => {
  it('stands still until it is advanced', async () => {
    const clock = virtualClock(new Date('2024-01-01T00:00:00Z'));
    expect([clock.now(), clock.elapsed()]).toEqual([Date.UTC(2024, 0, 1), 0]);
    await clock.advance(1500);
    expect([clock.now(), clock.elapsed()]).toEqual([Date.UTC(2024, 0, 1, 0, 0, 1, 500), 1500]);
  });
  it('fires timers in the order of their times, those of one time in the order in which they were set', async () => {
    const clock = virtualClock();
    const fired: string[] = [];
    for (const [name, due] of [
      ['c', 30],
      ['a', 10],
      ['b', 20],
      ['b2', 20],
      ['late', 31],
    ] as const) {
      clock.setTimer(due, () => fired.push(`${name} at ${clock.elapsed()}`));
    }
    await clock.advance(30);
    expect(fired).toEqual(['a at 10', 'b at 20', 'b2 at 20', 'c at 30']);
  });
  it('fires what a timer sets, if it falls due as well', async () => {
    const clock = virtualClock();
    const ticks: number[] = [];
    const tick = async (): Promise<void> => {
      for (;;) {
        await clock.sleep(10);
        ticks.push(clock.elapsed());
      }
    };
    void tick();
    await clock.advance(35);
    expect(ticks).toEqual([10, 20, 30]);
  });
  it('does not fire a timer that was disposed', async () => {
    const clock = virtualClock();
    let fired = false;
    clock
      .setTimer(10, () => {
        fired = true;
      })
      [Symbol.dispose]();
    await clock.advance(20);
    expect(fired).toBe(false);
  });
  it('ends a sleep by a signal, with its reason', async () => {
    const clock = virtualClock();
    const controller = new AbortController();
    const sleeping = clock.sleep(10, controller.signal);
    controller.abort('enough');
    await expect(sleeping).rejects.toBe('enough');
  });
  it('can be set back, which changes neither what has passed nor what is due', async () => {
    const clock = virtualClock();
    let firedAt: number | undefined;
    clock.setTimer(100, () => {
      firedAt = clock.elapsed();
    });
    await clock.advance(40);
    clock.setTime(new Date('1990-01-01T00:00:00Z'));
    expect(clock.now()).toBe(Date.UTC(1990, 0, 1));
    await clock.advance(60);
    expect(firedAt).toBe(100);
    expect(clock.now()).toBe(Date.UTC(1990, 0, 1) + 60);
  });
  it('tells when somebody sleeps, and again after that one was woken', async () => {
    const clock = virtualClock();
    const asleep: number[] = [];
    const look = async (): Promise<void> => {
      await clock.untilSleep();
      asleep.push(clock.elapsed());
    };
    const looking = look();
    using _timer = clock.setTimer(100, () => {});
    await clock.advance(1);
    const sleeping = clock.sleep(5);
    await looking;
    await clock.advance(5);
    await sleeping;
    const again = look();
    await clock.advance(1);
    const last = clock.sleep(1);
    await again;
    expect(asleep).toEqual([1, 7]);
    await clock.advance(1);
    await last;
  });
});
