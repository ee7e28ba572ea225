import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { DiskWatch, type StepWatch } from '../../src/build/disk-watch.ts';
import {
  type Attempted,
  toldByState,
  toldByStore,
  toldByWatch,
  withRoom,
} from '../../src/build/make-room.ts';
import { spareRules } from '../../src/build/spare-room.ts';
import { type BuildError, err, failed, ok, toHostPath } from '../../src/index.ts';

const FULL: BuildError = {
  type: 'store',
  error: { type: 'no-space', message: 'the disk is full' },
  message: 'the disk is full',
};
const BROKEN: BuildError = { type: 'store', error: failed('it is broken'), message: 'it is broken' };
const FETCH: BuildError = {
  type: 'fetch',
  error: { type: 'no-space', message: 'no room for a layer' },
  message: 'no room for a layer',
};
const ROUND = ['told', 'heard'];

describe('what is tried where a disk may be full', () => {
  it('is tried again with more room each time, twice at the most, and whoever follows is told before', async () => {
    const place = openPlace([err(toldByStore(FULL)), err(toldByStore(FULL)), err(toldByStore(FULL))]);
    expect(expectErr(await place.run())).toBe(FULL);
    expect(place.events).toEqual([
      ...['tried', ...ROUND, 'store, tries 0'],
      ...['tried', ...ROUND, 'store, tries 1'],
      'tried',
    ]);
    expect(place.texts).toEqual(Array(2).fill('The disk is full: making room, then trying once more.'));
  });

  it('is what it came to once there was room', async () => {
    const place = openPlace([err(toldByStore(FULL)), ok('made')]);
    expect(expectOk(await place.run())).toBe('made');
    expect(place.events).toEqual(['tried', ...ROUND, 'store, tries 0', 'tried']);
  });

  it.each([
    ['it is done', ok('made'), ok('made')],
    ['the store fails for another reason', err(toldByStore(BROKEN)), err(BROKEN)],
    ['the own directory fails for another reason', err(toldByState(BROKEN)), err(BROKEN)],
    ['it is not the disk that is full', err({ error: FULL }), err(FULL)],
  ])('is tried once where %s', async (_, attempted: Attempted<string>, wanted) => {
    const place = openPlace([attempted]);
    expect(await place.run()).toEqual(wanted);
    expect(place.events).toEqual(['tried']);
    expect(place.disks.alarms).toBe(0);
  });

  it('is tried once where no room can be made', async () => {
    const place = openPlace([err(toldByStore(FULL))], { canMakeRoom: false });
    expect(expectErr(await place.run())).toBe(FULL);
    expect(place.events).toEqual(['tried', ...ROUND, 'store, tries 0']);
  });

  it('is tried twice for a fetcher, which may lack room elsewhere, and the store is not taken for full', async () => {
    const place = openPlace([err(toldByStore(FETCH)), err(toldByStore(FETCH))]);
    expect(expectErr(await place.run())).toBe(FETCH);
    expect(place.events).toEqual(['tried', ...ROUND, 'store, tries 0', 'tried']);
    expect(place.disks.alarms).toBe(0);
  });

  it('is tried again once the disk is calm, where nobody knows whether it was full the second time either', async () => {
    const doubtful = err({ error: FULL, full: 'doubtful' } as const);
    const place = openPlace([doubtful, doubtful, ok('made')], { canMakeRoom: true });
    place.disks.calm = async (signal) => {
      expect(signal).toBe(place.signal);
      await new Promise(setImmediate);
      place.events.push('calm');
    };
    expect(expectOk(await place.run())).toBe('made');
    expect(place.events).toEqual([
      'tried',
      ...ROUND,
      'doubtful, tries 0',
      'tried',
      ...ROUND,
      'calm',
      'tried',
    ]);
    expect(place.texts[1]).toBe(
      'The disk was full not long ago: waiting until that is over, then trying once more.',
    );
  });

  it.each([
    ['the store said that it is full', toldByStore(FULL), 1],
    ['the disk was only nearly full', { error: FULL, full: 'perhaps' } as const, 0],
    ['the own directory was full', toldByState(FULL), 0],
  ])(
    'makes the steps that run beside it suspect only if the store was full: %s',
    async (_, failure, alarms) => {
      const place = openPlace([err(failure), ok('made')]);
      expectOk(await place.run());
      expect(place.disks.alarms).toBe(alarms);
      expect(place.events).toContain(`${failure.full}, tries 0`);
    },
  );

  it('has found the disk of the own directory full where a system call says so', async () => {
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' });
    const place = openPlace([full, ok('made')]);
    expect(expectOk(await place.run())).toBe('made');
    expect(place.events).toContain('state, tries 0');
  });

  it('fails at once where a system call fails otherwise, and a bug is thrown on', async () => {
    const other = Object.assign(new Error('EIO: i/o error'), { code: 'EIO', syscall: 'write' });
    const place = openPlace([other]);
    expect(expectErr(await place.run())).toMatchObject({
      error: { type: 'failed', message: 'EIO: i/o error' },
    });
    expect(place.events).toEqual(['tried']);
    await expect(openPlace([new TypeError('a bug')]).run()).rejects.toThrow('a bug');
  });
});

describe('a failure beside which a disk was watched', () => {
  it.each([
    ['used-up', 'perhaps'],
    ['full', 'perhaps'],
    ['doubtful', 'doubtful'],
  ] as const)('is told with what the watch found: %s, %s', (verdict, full) => {
    expect(toldByWatch(BROKEN, { verdict } as StepWatch)).toEqual({ error: BROKEN, full });
  });

  it('is told by its own words where the watch found nothing', () => {
    const watch = { verdict: undefined } as StepWatch;
    expect(toldByWatch(FULL, watch)).toEqual({ error: FULL, full: 'store' });
    expect(toldByWatch(BROKEN, watch)).toEqual({ error: BROKEN });
  });
});

function openPlace(
  attempts: readonly (Attempted<string> | Error)[],
  { canMakeRoom = true }: { readonly canMakeRoom?: boolean } = {},
) {
  const disks = new DiskWatch(spareRules());
  const { signal } = new AbortController();
  const [events, texts, left]: [string[], string[], (Attempted<string> | Error)[]] = [[], [], [...attempts]];
  const room = {
    make: async (full: string, asked: { readonly tries: number; readonly signal: AbortSignal }) => {
      expect(asked.signal).toBe(signal);
      events.push(`${full}, tries ${asked.tries}`);
      return canMakeRoom;
    },
  };
  const attempt = async (): Promise<Attempted<string>> => {
    events.push('tried');
    const next = left.shift();
    if (next === undefined) throw new RangeError('it was tried too often');
    if (next instanceof Error) throw next;
    return next;
  };
  const tell = async (text: string): Promise<void> => {
    events.push('told');
    texts.push(text);
    await new Promise(setImmediate);
    events.push('heard');
  };
  return {
    ...{ disks, events, texts, signal },
    run: () => withRoom({ stateDir: toHostPath('/state'), disks, room }, { signal, attempt, tell }),
  };
}
