import { getEventListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { EventQueue } from '../../src/build/event-queue.ts';
import type { BuildEvent, BuildNews } from '../../src/index.ts';
import { virtualClock } from '../../src/testing/index.ts';

describe('the events of a build', () => {
  it('come one after the other, in their order, and each is waited for', async () => {
    const ends = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { queue, heard } = openQueue((i) => ends[i]?.promise);
    const order: string[] = [];
    const emitted = [note('one'), note('two')].map(async (event, i) => {
      await queue.emit(event);
      order.push(`emitted ${i}`);
    });
    await setImmediate();
    expect([heard, order]).toEqual([['one'], []]);
    ends[1]?.resolve();
    await setImmediate();
    expect([heard, order]).toEqual([['one'], []]);
    ends[0]?.resolve();
    await Promise.all(emitted);
    expect([heard, order]).toEqual([
      ['one', 'two'],
      ['emitted 0', 'emitted 1'],
    ]);
  });

  it('have the times at which they happened, also where the listener is slow', async () => {
    const first = Promise.withResolvers<void>();
    const { queue, clock, times } = openQueue(() => first.promise);
    const start = clock.now();
    const emitted = [queue.emit(note('one'))];
    await clock.advance(1000);
    emitted.push(queue.emit(note('two')));
    await clock.advance(1000);
    first.resolve();
    await Promise.all(emitted);
    expect(times).toEqual([start, start + 1000]);
  });

  it('are heard only where somebody listens', async () => {
    const { signal } = new AbortController();
    const options = { onBug: () => {}, signal, clock: virtualClock() };
    expect(new EventQueue(() => {}, options).isHeard).toBe(true);
    const silent = new EventQueue(undefined, options);
    expect(silent.isHeard).toBe(false);
    await silent.emit(note('nobody hears it'));
  });

  it('end with the first that the listener throws at, which is told, and rejects nothing', async () => {
    const { queue, heard, bugs } = openQueue((i) => {
      if (i === 1) throw new Error('my bug');
    });
    for (const text of ['one', 'two', 'three']) await queue.emit(note(text));
    expect(heard).toEqual(['one', 'two']);
    expect(bugs).toEqual([new Error('my bug')]);
  });

  it('end also with one that the listener rejects', async () => {
    const { queue, heard, bugs } = openQueue(() => Promise.reject(new Error('my bug')));
    await Promise.all(['one', 'two'].map((text) => queue.emit(note(text))));
    expect([heard, bugs]).toEqual([['one'], [new Error('my bug')]]);
  });

  it('hold up nobody once the build is aborted, whatever the listener does', async () => {
    const { queue, heard, stop } = openQueue(() => new Promise(() => {}));
    const first = queue.emit(note('one'));
    await setImmediate();
    stop.abort();
    await first;
    await queue.emit(note('two'));
    expect(heard).toEqual(['one']);
  });

  it('leave nothing at the signal of the build', async () => {
    const { queue, stop } = openQueue(() => {});
    await queue.emit(note('one'));
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
    const endless = queue.unlessAborted(new Promise(() => {}));
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
    stop.abort();
    await endless;
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  });
});

describe('work of a build', () => {
  it('is waited for, and what it fails with is thrown', async () => {
    const { queue } = openQueue(() => {});
    const work = Promise.withResolvers<void>();
    let isDone = false;
    const waiting = queue.unlessAborted(work.promise).then(() => {
      isDone = true;
    });
    await setImmediate();
    expect(isDone).toBe(false);
    work.resolve();
    await waiting;
    await expect(queue.unlessAborted(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });

  it('is not waited for when the build has been aborted', async () => {
    const { queue, stop } = openQueue(() => {});
    stop.abort();
    await queue.unlessAborted(new Promise(() => {}));
  });
});

function note(text: string): BuildNews {
  return { type: 'note', text };
}

/** @param answer - What the listener does with the event of that number, from 0. */
function openQueue(answer: (i: number) => void | Promise<void>) {
  const stop = new AbortController();
  const [heard, bugs, times]: [string[], unknown[], number[]] = [[], [], []];
  const listener = (event: BuildEvent): void | Promise<void> => {
    if (event.type === 'note') heard.push(event.text);
    times.push(event.at.getTime());
    return answer(heard.length - 1);
  };
  const onBug = (bug: unknown): void => void bugs.push(bug);
  const clock = virtualClock();
  const queue = new EventQueue(listener, { onBug, signal: stop.signal, clock });
  return { queue, heard, bugs, stop, clock, times };
}
