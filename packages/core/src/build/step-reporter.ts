import type { Result } from 'neverthrow';
import type { Clock } from '../backend/clock.ts';
import type { StepKey } from '../backend/names.ts';
import type { StepLog } from '../log/step-log.ts';
import type { StepLogs } from '../log/step-logs.ts';
import type { BuildError, BuildNews, StepPlace, StepSource } from './builder.ts';
import type { EventQueue } from './event-queue.ts';

/** What is said of one step that runs, or that another build runs. */
export interface StepReport {
  /** Undefined until it is queued or joined. */
  readonly source: StepSource | undefined;
  readonly queued: (how: 'ran' | 'joined', log: StepLog) => void;
  /** It has its turn. */
  readonly started: () => void;
  /** Settles when the listener has had the whole log, or the build is aborted. `again`: the step is tried once more. */
  readonly ended: (result: Result<unknown, BuildError> | 'again') => Promise<void>;
}

/** Turns what happens to steps into events, with their logs. */
export class StepReporter {
  readonly #events: EventQueue;
  readonly #logs: StepLogs;
  readonly #replays: boolean;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;

  constructor(
    events: EventQueue,
    options: {
      readonly logs: StepLogs;
      readonly replays: boolean;
      readonly clock: Clock;
      readonly signal: AbortSignal;
    },
  ) {
    this.#events = events;
    this.#logs = options.logs;
    this.#replays = options.replays;
    this.#clock = options.clock;
    this.#signal = options.signal;
  }

  /** A step that need not run. */
  async cached(place: StepPlace): Promise<void> {
    if (!this.#events.isHeard) return;
    const log = this.#replays ? await this.#find(place.key) : undefined;
    await this.#events.emit({ type: 'step-started', ...place, source: 'cache' });
    if (log) await this.#pass(place, this.#watch(log));
    await this.#events.emit(done(place, { source: 'cache', milliseconds: 0, waitedMilliseconds: 0 }));
  }

  begin(place: StepPlace): StepReport {
    let run: ReportedRun | undefined;
    const ended = async (result: Result<unknown, BuildError> | 'again'): Promise<void> => {
      // What fails before its turn may have printed why.
      if (result !== 'again' && !isCancelled(result)) run?.started();
      else run?.left();
      await this.#events.unlessAborted(run?.passed ?? Promise.resolve());
      if (result === 'again') return;
      if (result.isErr()) return this.#failed(place, result.error);
      if (run === undefined) return this.cached(place);
      await this.#events.emit(done(place, { source: run.source, ...run.times() }));
    };
    return {
      get source() {
        return run?.source;
      },
      queued: (how, log) => {
        run = this.#follow(place, how, log);
      },
      started: () => run?.started(),
      ended,
    };
  }

  #follow(place: StepPlace, source: 'ran' | 'joined', log: StepLog): ReportedRun {
    const queuedAt = this.#clock.elapsed();
    let startedAt: number | undefined;
    // The reader starts now, not when the listener has time: so it is there before the log can go away.
    const chunks = this.#events.isHeard ? this.#watch(log) : undefined;
    const first = chunks?.next();
    first?.catch(() => {}); // Waited for in `pass`, which may be late.
    let passed = this.#events.emit({ type: 'step-queued', ...place, source });
    return {
      source,
      get passed() {
        return passed;
      },
      started: () => {
        if (startedAt !== undefined) return;
        startedAt = this.#clock.elapsed();
        const told = this.#events.emit({ type: 'step-started', ...place, source });
        if (chunks) passed = told.then(() => this.#pass(place, chunks, first));
      },
      left: () => {
        // Its file is open until the reader has ended.
        if (startedAt === undefined) chunks?.return?.().catch(() => {});
      },
      times: () => {
        const begun = startedAt ?? this.#clock.elapsed();
        return { milliseconds: this.#clock.elapsed() - begun, waitedMilliseconds: begun - queuedAt };
      },
    };
  }

  async #failed({ key, stage }: StepPlace, error: BuildError): Promise<void> {
    await this.#events.emit({ type: 'step-failed', key, stage, error });
  }

  #watch(log: StepLog): AsyncIterator<Uint8Array> {
    return log.watch({ signal: this.#signal })[Symbol.asyncIterator]();
  }

  async #pass(
    { key, stage }: StepPlace,
    chunks: AsyncIterator<Uint8Array>,
    first?: Promise<IteratorResult<Uint8Array>>,
  ): Promise<void> {
    try {
      for (let next = await (first ?? chunks.next()); !next.done; next = await chunks.next()) {
        // An aborted build waits for no output, so that its step may have ended already.
        if (this.#signal.aborted) return void (await chunks.return?.());
        await this.#events.emit({ type: 'step-output', key, stage, chunk: next.value });
      }
    } catch (error) {
      await this.#unreadable(key, error);
    }
  }

  async #find(key: StepKey): Promise<StepLog | undefined> {
    const found = await this.#logs.find(key);
    if (found.isErr()) await this.#unreadable(key, found.error);
    return found.unwrapOr(undefined);
  }

  /** What a step printed is no reason to fail a build that has its files. */
  async #unreadable(key: StepKey, error: unknown): Promise<void> {
    if (this.#signal.aborted) return;
    const { message } = error as Error;
    await this.#events.emit({ type: 'note', text: `the log of ${key} cannot be read: ${message}` });
  }
}

type DoneNews = Extract<BuildNews, { readonly type: 'step-done' }>;
type Times = Pick<DoneNews, 'milliseconds' | 'waitedMilliseconds'>;

/** A run of a step that a build follows, from when it is queued. */
interface ReportedRun {
  readonly source: 'ran' | 'joined';
  /** Settles when the listener has had the whole log. */
  readonly passed: Promise<void>;
  /** Its log comes from now on. */
  readonly started: () => void;
  /** Nobody follows it any more: if it has not started, its log is not wanted. */
  readonly left: () => void;
  /** What they are now. */
  readonly times: () => Times;
}

function isCancelled(result: Result<unknown, BuildError>): boolean {
  return result.isErr() && result.error.type === 'cancelled';
}

function done({ key, stage }: StepPlace, how: { readonly source: StepSource } & Times): DoneNews {
  return { type: 'step-done', key, stage, ...how };
}
