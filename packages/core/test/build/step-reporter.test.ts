import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { EventQueue } from '../../src/build/event-queue.ts';
import { StepReporter } from '../../src/build/step-reporter.ts';
import { type BuildEvent, err, ok, toHostPath, toStepKey } from '../../src/index.ts';
import type { LogWriter } from '../../src/log/step-log.ts';
import { StepLogs } from '../../src/log/step-logs.ts';
import { virtualClock } from '../../src/testing/index.ts';
import { openFilesBelow } from '../log/open-files.ts';

const KEY = toStepKey('ab'.repeat(32));
const PLACE = { stage: 'main', key: KEY, op: { op: 'base', image: 'base' }, number: 1 } as const;

describe('the report of a step that runs', () => {
  it('has all of its output before its end, however slow the listener is', async () => {
    await using place = await openPlace({ slowAt: 'step-output' });
    const writer = place.begin();
    const report = place.reporter.begin(PLACE);
    report.queued('ran', writer.log);
    report.started();
    await write(writer, 'one', 'two');
    await writer.end();
    const ended = place.settles(report.ended(ok()));
    await ticks();
    expect(place.heard).toEqual(['step-queued', 'step-started', 'one']);
    place.goOn();
    await ended.promise;
    expect(place.heard.at(-1)).toBe('step-done');
    expect(place.heard.join('')).toBe('step-queuedstep-startedonetwostep-done');
  });

  it.each([
    ['done', ok()],
    ['failed', err({ type: 'invalid-context', path: '', message: 'it changed' } as const)],
  ])('is over when the listener has been told that it is %s', async (how, result) => {
    await using place = await openPlace({ slowAt: `step-${how}` });
    const writer = place.begin();
    const report = place.reporter.begin(PLACE);
    report.queued('ran', writer.log);
    report.started();
    await writer.end();
    const ended = place.settles(report.ended(result));
    await place.slow;
    await ticks();
    expect(ended.isSettled()).toBe(false);
    place.goOn();
    await ended.promise;
    expect(place.heard).toEqual(['step-queued', 'step-started', `step-${how}`]);
  });

  it('tells how long it waited for its turn, and how long it took from then on', async () => {
    await using place = await openPlace();
    await place.clock.advance(1000);
    const writer = place.begin();
    const report = place.reporter.begin(PLACE);
    report.queued('ran', writer.log);
    await place.clock.advance(300);
    report.started();
    await place.clock.advance(500);
    await writer.end();
    await report.ended(ok());
    const times = { milliseconds: 500, waitedMilliseconds: 300 };
    expect(place.events.at(-1)).toMatchObject({ type: 'step-done', ...times });
    const [queued, started, done] = place.events.map(({ at }) => at.getTime());
    expect([Number(started) - Number(queued), Number(done) - Number(started)]).toEqual([300, 500]);
  });

  it('has what the step prints before its turn when that comes, and begins once', async () => {
    await using place = await openPlace();
    const writer = place.begin();
    const report = place.reporter.begin(PLACE);
    report.queued('joined', writer.log);
    await write(writer, 'before');
    await longEnough();
    expect(place.heard).toEqual(['step-queued']);
    report.started();
    await longEnough();
    report.started();
    await writer.end();
    await report.ended(ok());
    expect(place.heard).toEqual(['step-queued', 'step-started', 'before', 'step-done']);
  });

  it('has what a step printed that fails before its turn', async () => {
    await using place = await openPlace();
    const { writer, report } = place.queued('ran');
    await write(writer, 'why');
    await writer.end();
    await report.ended(err({ type: 'invalid-context', path: '', message: 'it changed' }));
    expect(place.heard).toEqual(['step-queued', 'step-started', 'why', 'step-failed']);
  });

  it('has no beginning where a step is cancelled before its turn', async () => {
    await using place = await openPlace();
    const { writer, report } = place.queued('ran');
    await writer.end();
    await report.ended(err({ type: 'cancelled', message: 'enough', reason: new Error('enough') }));
    expect(place.heard).toEqual(['step-queued', 'step-failed']);
  });

  it.runIf(process.platform === 'linux').each([
    ['cancelled', err({ type: 'cancelled', message: 'enough', reason: new Error('enough') } as const)],
    ['tried again', 'again' as const],
  ])('leaves no file open where the step is %s before its turn', async (_, result) => {
    await using place = await openPlace();
    const { writer, report } = place.queued('joined');
    await write(writer, 'before');
    await longEnough();
    if (result !== 'again') place.stop.abort(new Error('enough'));
    await report.ended(result);
    await writer.end();
    await longEnough();
    expect(place.openFiles()).toEqual([]);
    expect(place.heard).not.toContain('before');
  });

  it('reads no further than the listener is', async () => {
    await using place = await openPlace({ slowAt: 'step-output' });
    const writer = place.begin(100);
    const report = place.reporter.begin(PLACE);
    report.queued('ran', writer.log);
    report.started();
    await write(writer, 'the first\n');
    await place.slow;
    await write(writer, ...Array(50).fill('123456789\n'));
    await writer.end();
    place.goOn();
    await report.ended(ok());
    expect(place.heard.join('')).toContain('bytes left out');
  });

  it('ends with the build, also where the step goes on for another one', async () => {
    await using place = await openPlace();
    const writer = place.begin();
    const report = place.reporter.begin(PLACE);
    report.queued('joined', writer.log);
    report.started();
    await write(writer, 'before');
    await longEnough();
    place.stop.abort(new Error('enough'));
    await write(writer, 'after');
    await report.ended('again');
    await writer.end();
    await longEnough();
    expect(place.heard).toEqual(['step-queued', 'step-started', 'before']);
  });

  it('has no output behind its end, where that was being read when the build was aborted', async () => {
    await using place = await openPlace();
    const [read, closed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    async function* watch() {
      try {
        await read.promise;
        yield Buffer.from('late');
      } finally {
        closed.resolve();
      }
    }
    const report = place.reporter.begin(PLACE);
    report.queued('joined', { ...place.begin().log, watch });
    report.started();
    await ticks();
    place.stop.abort(new Error('enough'));
    await report.ended(err({ type: 'cancelled', message: 'enough', reason: new Error('enough') }));
    read.resolve();
    await closed.promise;
    await ticks();
    expect(place.heard).toEqual(['step-queued', 'step-started', 'step-failed']);
  });

  it('says so, in a note, where its log cannot be read, also before the listener is there', async () => {
    await using place = await openPlace({ slowAt: 'step-started' });
    const writer = place.begin();
    await write(writer, 'text');
    await writer.end();
    await place.spoil();
    const report = place.reporter.begin(PLACE);
    report.queued('ran', writer.log);
    report.started();
    await place.slow;
    await longEnough();
    place.goOn();
    await report.ended(ok());
    expect(place.heard).toEqual([
      ...['step-queued', 'step-started'],
      expect.stringMatching(`^the log of ${KEY} cannot be read: EISDIR`),
      'step-done',
    ]);
  });
});

describe('the report of a step that is saved', () => {
  it('is over when the listener has been told that the step is done', async () => {
    await using place = await openPlace({ slowAt: 'step-done' });
    const cached = place.settles(place.reporter.cached(PLACE));
    await place.slow;
    await ticks();
    expect(cached.isSettled()).toBe(false);
    place.goOn();
    await cached.promise;
    expect(place.heard).toEqual(['step-started', 'step-done']);
  });
});

describe('steps that nobody hears of', () => {
  it('have logs that nobody reads', async () => {
    await using place = await openPlace({ isHeard: false });
    const writer = place.begin();
    const report = place.reporter.begin(PLACE);
    let reads = 0;
    const log = {
      ...writer.log,
      watch: () => {
        reads += 1;
        return writer.log.watch();
      },
    };
    report.queued('ran', log);
    report.started();
    await writer.end();
    await report.ended(ok());
    place.logs.find = () => Promise.reject(new Error('nobody is to ask for it'));
    await place.reporter.cached(PLACE);
    expect(reads).toBe(0);
  });
});

/** @param how.slowAt - The first event of that type is held until `goOn` is called. */
async function openPlace({ slowAt, isHeard = true }: { slowAt?: string; isHeard?: boolean } = {}) {
  const dir = await tempDir();
  const logs = new StepLogs(toHostPath(dir.path));
  const [stop, clock] = [new AbortController(), virtualClock()];
  const [slow, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const events: BuildEvent[] = [];
  const onEvent = async (event: BuildEvent): Promise<void> => {
    events.push(event);
    if (event.type !== slowAt) return;
    slow.resolve();
    await goOn.promise;
  };
  const { signal } = stop;
  const queue = new EventQueue(isHeard ? onEvent : undefined, { onBug: () => {}, signal, clock });
  const reporter = new StepReporter(queue, { logs, clock, signal, replays: true });
  return {
    ...{ logs, stop, clock, events, slow: slow.promise, goOn: goOn.resolve },
    reporter,
    begin: (limit = 10_000) => logs.begin(KEY, { limit }),
    /** A step that waits for its turn. */
    queued: (how: 'ran' | 'joined') => {
      const [writer, report] = [logs.begin(KEY, { limit: 10_000 }), reporter.begin(PLACE)];
      report.queued(how, writer.log);
      return { writer, report };
    },
    /** What was heard, in the order: the output and the notes as texts, and the types of the others. */
    get heard(): readonly string[] {
      return events.map(textOf);
    },
    settles(promise: Promise<void>) {
      let isSettled = false;
      const done = (): void => {
        isSettled = true;
      };
      promise.then(done, done);
      return { promise, isSettled: () => isSettled };
    },
    openFiles: () => openFilesBelow(dir.path),
    /** In the place of the log is a directory. */
    async spoil(): Promise<void> {
      const path = join(dir.path, KEY.slice(0, 2), `${KEY}.log`);
      await rm(path);
      await mkdir(path);
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

function textOf(event: BuildEvent): string {
  if (event.type === 'step-output') return Buffer.from(event.chunk).toString();
  return event.type === 'note' ? event.text : event.type;
}

/** Each has time to be read before the next one. */
async function write(writer: LogWriter, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await writer.write(text);
    await ticks();
  }
}

/** Longer than it takes to read a short log, or to find out that it cannot be read. */
async function longEnough(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await stat(import.meta.filename);
}

async function ticks(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await setImmediate();
}
