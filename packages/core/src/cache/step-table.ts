import { err, ok, type Result } from 'neverthrow';
import type { Cancelled } from '../backend/failures.ts';
import { cancelled } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import type { LogWriter, StepLog } from '../log/step-log.ts';
import type { Lease, Leases } from './leases.ts';

/** Makes and saves one step. It must settle only when all is quiet, and give `cancelled` if its signal was aborted. */
export type Produce<E> = (io: {
  /** To be called when the step waits for nothing any more; more than once does no harm. */
  readonly onStart: () => void;
  readonly log: LogWriter;
  readonly signal: AbortSignal;
}) => Promise<Result<void, E | Cancelled>>;

export interface ObtainRequest<E> {
  readonly key: StepKey;
  /** Ends the waiting; the step itself ends only if nobody else waits for it. */
  readonly signal: AbortSignal;
  readonly produce: Produce<E>;
  /** False if `produce` reads what may go away with the one who asked, such as a build context. */
  readonly outlivesWaiter: boolean;
  /** How many bytes of what the step prints are kept, if this request starts it. */
  readonly logBytes: number;
  /** Called at once when the step is queued or joined. */
  readonly onQueue: (how: 'ran' | 'joined', log: StepLog) => void;
  /** Called once when the step has its turn; right after `onQueue` where it had it before. */
  readonly onStart: () => void;
}

interface Waiter<E> {
  readonly request: ObtainRequest<E>;
  readonly resolve: (result: Result<Lease, E | Cancelled>) => void;
  readonly reject: (bug: unknown) => void;
}

type BeginLog = (key: StepKey, options: { readonly limit: number }) => LogWriter;

/**
 * Who runs and who waits: a step that several builds want at the same time runs once.
 *
 * A waiter that is aborted leaves the others alone. The last one out stops the step, and waits until it is quiet.
 * If the step was reading what belongs to the one who leaves, it starts again from what another waiter has.
 */
export class StepTable<E> {
  readonly #running = new Map<StepKey, RunningStep<E>>();
  readonly #reserved = new Map<StepKey, Promise<void>>();
  readonly #leases: Leases;
  readonly #beginLog: BeginLog;

  constructor(options: { readonly leases: Leases; readonly beginLog: BeginLog }) {
    this.#leases = options.leases;
    this.#beginLog = options.beginLog;
  }

  isRunning(key: StepKey): boolean {
    return this.#running.has(key);
  }

  /**
   * Runs the step or joins its run. The snapshot is leased before anybody could prune it.
   *
   * @param saved - Asked each time before a run would start: a lease if the step is saved by now.
   */
  async obtain(
    request: ObtainRequest<E>,
    saved: () => Lease | undefined,
  ): Promise<Result<Lease, E | Cancelled>> {
    for (;;) {
      if (request.signal.aborted) return err(cancelled(request.signal));
      const reserved = this.#reserved.get(request.key);
      const running = this.#running.get(request.key);
      if (reserved) {
        await reserved;
      } else if (running === undefined) {
        const lease = saved();
        return lease ? ok(lease) : this.#start(request);
      } else if (running.stopping) {
        await running.ended;
      } else {
        request.onQueue('joined', running.log);
        return running.join(request);
      }
    }
  }

  /** Keeps steps from being started while `task`, such as their removal, goes on. None of them may be running. */
  async reserve<T>(keys: readonly StepKey[], task: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const key of keys) this.#reserved.set(key, promise);
    try {
      return await task();
    } finally {
      for (const key of keys) this.#reserved.delete(key);
      resolve();
    }
  }

  isReserved(key: StepKey): boolean {
    return this.#reserved.has(key);
  }

  /** Aborts every step and waits until all is quiet. */
  async stopAll(reason: unknown): Promise<void> {
    const running = [...this.#running.values()];
    for (const step of running) step.stop(reason);
    await Promise.all(running.map((step) => step.ended));
  }

  #start(request: ObtainRequest<E>): Promise<Result<Lease, E | Cancelled>> {
    const step = new RunningStep<E>({
      writer: this.#beginLog(request.key, { limit: request.logBytes }),
      lease: () => this.#leases.take(request.key),
      onEnd: () => this.#running.delete(request.key),
    });
    this.#running.set(request.key, step);
    request.onQueue('ran', step.log);
    const result = step.join(request);
    step.run();
    return result;
  }
}

interface StepOptions {
  readonly writer: LogWriter;
  readonly lease: () => Lease;
  readonly onEnd: () => void;
}

class RunningStep<E> {
  /** True once nobody waits any more: it may be waited for, but not joined. */
  stopping = false;
  readonly ended: Promise<void>;
  readonly #end: () => void;
  readonly #options: StepOptions;
  readonly #waiters = new Set<Waiter<E>>();
  /** Who left when nobody else waited: told when all is quiet. */
  #lastOut: Waiter<E> | undefined;
  #producer: Waiter<E> | undefined;
  #attempt = new AbortController();
  #hasStarted = false;

  constructor(options: StepOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
  }

  get log(): StepLog {
    return this.#options.writer.log;
  }

  join(request: ObtainRequest<E>): Promise<Result<Lease, E | Cancelled>> {
    return new Promise((resolve, reject) => {
      const leave = (): void => this.#leave(waiter);
      const unlisten = (): void => request.signal.removeEventListener('abort', leave);
      const waiter: Waiter<E> = {
        request,
        resolve: (result) => {
          unlisten();
          resolve(result);
        },
        reject: (bug) => {
          unlisten();
          reject(bug);
        },
      };
      this.#waiters.add(waiter);
      if (this.#hasStarted) request.onStart();
      request.signal.addEventListener('abort', leave);
    });
  }

  stop(reason: unknown): void {
    this.stopping = true;
    this.#attempt.abort(reason);
  }

  /** A bug, thrown in `produce`, is thrown to everybody who waits. */
  run(): void {
    this.#produceUntilSettled().then(
      (result) => this.#settle((waiter) => waiter.resolve(result.map(() => this.#options.lease()))),
      (bug) => this.#settle((waiter) => waiter.reject(bug)),
    );
  }

  async #produceUntilSettled(): Promise<Result<void, E | Cancelled>> {
    const { writer } = this.#options;
    for (const producer of this.#waiters) {
      const result = await this.#attemptOf(producer);
      if (this.stopping || !this.#attempt.signal.aborted || result.isOk()) return result;
      this.#attempt = new AbortController();
      const note = 'The build that ran this step was cancelled; another one starts it again.\n';
      await writer.write(note).catch(() => {});
      if (this.stopping) break;
    }
    return err(cancelled(this.#attempt.signal));
  }

  /** Whoever left while it ran is told when it is quiet, whatever came of it. */
  async #attemptOf(producer: Waiter<E>): Promise<Result<void, E | Cancelled>> {
    const { signal } = this.#attempt;
    this.#producer = producer;
    try {
      const onStart = (): void => this.#start();
      return await producer.request.produce({ log: this.#options.writer, signal, onStart });
    } finally {
      this.#producer = undefined;
      if (!this.#waiters.has(producer)) producer.resolve(err(cancelled(producer.request.signal)));
    }
  }

  #start(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    for (const { request } of this.#waiters) request.onStart();
  }

  #leave(waiter: Waiter<E>): void {
    this.#waiters.delete(waiter);
    const { signal, outlivesWaiter } = waiter.request;
    const last = this.#waiters.size === 0;
    const owner = this.#producer === waiter;
    if (last) this.stop(signal.reason);
    else if (owner && !outlivesWaiter) this.#attempt.abort(signal.reason);
    // Whoever's files are being read, and the last one out, are told when all is quiet.
    if (last) this.#lastOut = waiter;
    else if (!owner || outlivesWaiter) waiter.resolve(err(cancelled(signal)));
  }

  async #settle(tell: (waiter: Waiter<E>) => void): Promise<void> {
    this.stopping = true;
    await this.#options.writer.end().catch(() => {});
    // From here to the last lease nothing is awaited: no prune can come between.
    this.#options.onEnd();
    for (const waiter of this.#waiters) tell(waiter);
    this.#lastOut?.resolve(err(cancelled(this.#lastOut.request.signal)));
    this.#end();
  }
}
