import type { Result } from 'neverthrow';
import type { Clock } from '../backend/clock.ts';
import type { StepKey } from '../backend/names.ts';
import type { StepLog } from '../log/step-log.ts';
import type { StepLogs } from '../log/step-logs.ts';
import type { BuildError, BuildEvent, StepOp, StepSource } from './builder.ts';
import type { EventQueue } from './event-queue.ts';

/** Which step of which stage an event is about. */
export interface StepPlace {
  readonly stage: string;
  readonly key: StepKey;
  readonly op: StepOp;
  /** From 1. */
  readonly number: number;
}

/** What is said of one step that runs, or that another build runs. */
export interface StepReport {
  /** Undefined until it is started or joined. */
  readonly source: StepSource | undefined;
  readonly started: (how: 'ran' | 'joined', log: StepLog) => void;
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
    await this.#events.emit(done(place, { source: 'cache', milliseconds: 0 }));
  }

  begin(place: StepPlace): StepReport {
    const start = this.#clock.elapsed();
    let source: StepSource | undefined;
    let passing: Promise<void> = Promise.resolve();
    const started = (how: 'ran' | 'joined', log: StepLog): void => {
      source = how;
      if (!this.#events.isHeard) return;
      // The reader starts now, not when the listener has time: so it is there before the log can go away.
      const chunks = this.#watch(log);
      const first = chunks.next();
      first.catch(() => {}); // Waited for in `pass`, which may be late.
      passing = this.#events
        .emit({ type: 'step-started', ...place, source: how })
        .then(() => this.#pass(place, chunks, first));
    };
    const ended = async (result: Result<unknown, BuildError> | 'again'): Promise<void> => {
      await this.#events.unlessAborted(passing);
      if (result === 'again') return;
      if (result.isErr()) return this.#failed(place, result.error);
      if (source === undefined) return this.cached(place);
      await this.#events.emit(done(place, { source, milliseconds: this.#clock.elapsed() - start }));
    };
    return {
      get source() {
        return source;
      },
      started,
      ended,
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

function done(
  { key, stage }: StepPlace,
  how: { readonly source: StepSource; readonly milliseconds: number },
): BuildEvent {
  return { type: 'step-done', key, stage, ...how };
}
