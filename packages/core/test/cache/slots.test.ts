import { getEventListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Slots } from '../../src/cache/slots.ts';

const never = new AbortController().signal;

describe('slots', () => {
  it('are given to so many at once, and then to whoever asked first', async () => {
    const { slots, take, order } = openLine(2);
    const [a, b] = [await slots.take(never), await slots.take(never)];
    for (const name of ['c', 'd', 'e']) void take(name);
    expect(await order()).toEqual([]);
    b[Symbol.dispose]();
    expect(await order()).toEqual(['c']);
    a[Symbol.dispose]();
    expect(await order()).toEqual(['c', 'd']);
  });

  it('that nobody waits for can be taken later', async () => {
    const { slots, take, order } = openLine(1);
    (await slots.take(never))[Symbol.dispose]();
    void take('a');
    void take('b');
    expect(await order()).toEqual(['a']);
  });

  it('count once, however often they are given back', async () => {
    const { slots, take, order } = openLine(1);
    const slot = await slots.take(never);
    slot[Symbol.dispose]();
    slot[Symbol.dispose]();
    void take('a');
    void take('b');
    expect(await order()).toEqual(['a']);
  });

  it('are not for who was aborted before asking, though one is free', async () => {
    const { slots, take, order } = openLine(1);
    await expect(slots.take(AbortSignal.abort(new Error('no')))).rejects.toThrow('no');
    void take('a');
    expect(await order()).toEqual(['a']);
  });

  it('let who is aborted in line go with the reason, and keep the places of the others', async () => {
    const { slots, take, order } = openLine(1);
    const slot = await slots.take(never);
    const stop = new AbortController();
    const a = take('a');
    const left = slots.take(stop.signal);
    void take('b');
    stop.abort(new Error('enough'));
    await expect(left).rejects.toThrow('enough');
    slot[Symbol.dispose]();
    (await a)[Symbol.dispose]();
    expect(await order()).toEqual(['a', 'b']);
  });

  it('stay with who is aborted while it has one, and nobody loses a place', async () => {
    const { slots, take, order } = openLine(1);
    const slot = await slots.take(never);
    const stop = new AbortController();
    const next = slots.take(stop.signal);
    void take('a');
    slot[Symbol.dispose]();
    const second = await next;
    stop.abort(new Error('too late'));
    expect(await order()).toEqual([]);
    second[Symbol.dispose]();
    expect(await order()).toEqual(['a']);
  });

  it('leave nothing at the signal of who waited, whether that one got a slot or went', async () => {
    const slots = new Slots(1);
    const slot = await slots.take(never);
    const [gets, goes] = [new AbortController(), new AbortController()];
    const waiting = [slots.take(gets.signal), slots.take(goes.signal)];
    expect([gets, goes].map(({ signal }) => getEventListeners(signal, 'abort').length)).toEqual([1, 1]);
    goes.abort(new Error('enough'));
    await expect(waiting[1]).rejects.toThrow('enough');
    slot[Symbol.dispose]();
    await waiting[0];
    expect([gets, goes].map(({ signal }) => getEventListeners(signal, 'abort').length)).toEqual([0, 0]);
  });

  it('go round in the order of asking, and never to more than there are, whoever leaves when', async () => {
    const does = fc.constantFrom<'take' | 'give' | 'abort'>('take', 'take', 'give', 'abort');
    const actions = fc.array(fc.record({ does, nth: fc.nat(20) }), {
      minLength: 8,
      maxLength: 30,
      size: 'max',
    });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3 }), actions, async (count, all) => {
        const line = new ModelledLine(count);
        for (const one of all) await line[one.does](one.nth);
      }),
      { numRuns: 50 },
    );
  });
});

function openLine(count: number) {
  const slots = new Slots(count);
  const served: string[] = [];
  return {
    slots,
    take: async (name: string): Promise<Disposable> => {
      const slot = await slots.take(never);
      served.push(name);
      return slot;
    },
    /** Who has got a slot so far. */
    order: async (): Promise<readonly string[]> => {
      await setImmediate();
      return [...served];
    },
  };
}

interface Asker {
  readonly number: number;
  readonly stop: AbortController;
  slot?: Disposable;
}

/** Slots beside what they promise: lists of who holds and who waits. */
class ModelledLine {
  readonly served: number[] = [];
  readonly expected: number[] = [];
  readonly #slots: Slots;
  readonly #count: number;
  readonly #holding: Asker[] = [];
  readonly #waiting: Asker[] = [];
  #asked = 0;

  constructor(count: number) {
    this.#slots = new Slots(count);
    this.#count = count;
  }

  async take(): Promise<void> {
    const asker: Asker = { number: this.#asked++, stop: new AbortController() };
    this.#waiting.push(asker);
    this.#slots.take(asker.stop.signal).then(
      (slot) => {
        asker.slot = slot;
        this.served.push(asker.number);
      },
      () => {},
    );
    await this.#settle();
  }

  async give(nth: number): Promise<void> {
    const [asker] = this.#holding.splice(nth % Math.max(1, this.#holding.length), 1);
    asker?.slot?.[Symbol.dispose]();
    await this.#settle();
  }

  /** Who waits goes; who has a slot keeps it. */
  async abort(nth: number): Promise<void> {
    const all = [...this.#holding, ...this.#waiting];
    const asker = all[nth % Math.max(1, all.length)];
    asker?.stop.abort();
    if (asker !== undefined && this.#waiting.includes(asker))
      this.#waiting.splice(this.#waiting.indexOf(asker), 1);
    await this.#settle();
  }

  async #settle(): Promise<void> {
    while (this.#holding.length < this.#count) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#holding.push(next);
      this.expected.push(next.number);
    }
    await setImmediate();
    expect(this.served).toEqual(this.expected);
  }
}
