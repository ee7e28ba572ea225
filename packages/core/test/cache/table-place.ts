import { setImmediate } from 'node:timers/promises';
import { tempDir } from '@snapstep/test-support';
import { type Lease, Leases } from '../../src/cache/leases.ts';
import { type Produce, StepTable } from '../../src/cache/step-table.ts';
import { type Result, type StepKey, type StepLog, toHostPath } from '../../src/index.ts';
import type { LogWriter } from '../../src/log/step-log.ts';
import { StepLogs } from '../../src/log/step-logs.ts';
import { key } from './keys.ts';

interface Broken {
  readonly type: 'broken';
}

type Made = Awaited<ReturnType<Produce<Broken>>>;
type Io = Parameters<Produce<Broken>>[0];

/** A run of a step, which goes on until it is told to end. */
export interface Run {
  readonly io: Io;
  readonly end: (result: Made) => void;
  readonly throw: (bug: unknown) => void;
}

/** What one who wants a step is told. */
export interface Wanted {
  readonly result: Promise<Result<Lease, unknown>>;
  readonly how: string[];
  readonly log: StepLog | undefined;
}

interface Wish {
  readonly key?: StepKey;
  readonly signal?: AbortSignal | undefined;
  readonly outlivesWaiter?: boolean;
  readonly saved?: () => Lease | undefined;
}

interface Trouble {
  /** What of a log rejects, once what it is to do is done. */
  readonly failing?: 'write' | 'end';
  /** What of a log waits until it is released. */
  readonly held?: 'write' | 'end';
}

/** A table of steps over real logs; who wants a step has a name, by which its runs are known. */
export async function openTable(trouble: Trouble = {}) {
  const dir = await tempDir();
  const logs = new StepLogs(toHostPath(dir.path));
  const leases = new Leases();
  const [holding, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const beginLog = (key: StepKey): LogWriter =>
    troubled(logs.begin(key, { limit: 1000 }), trouble, async () => {
      holding.resolve();
      await released.promise;
    });
  const table = new StepTable<Broken>({ leases, beginLog });
  const produced: string[] = [];
  const runs = new Map<string, PromiseWithResolvers<Run>>();
  const runOf = (name: string): PromiseWithResolvers<Run> => {
    const known = runs.get(name) ?? Promise.withResolvers<Run>();
    runs.set(name, known);
    return known;
  };
  return {
    table,
    leases,
    /** Whose runs have begun. */
    produced,
    holding: holding.promise,
    release: released.resolve,
    /** Settles when the run of that one begins. */
    run: (name: string): Promise<Run> => runOf(name).promise,
    obtain: (name: string, wish: Wish = {}): Wanted => {
      const wanted: { -readonly [K in keyof Wanted]: Wanted[K] } = {
        how: [],
        log: undefined,
        result: Promise.resolve() as never,
      };
      const produce: Produce<Broken> = (io) => {
        produced.push(name);
        const { promise, resolve, reject } = Promise.withResolvers<Made>();
        runOf(name).resolve({ io, end: resolve, throw: reject });
        return promise;
      };
      const onQueue = (how: string, log: StepLog): void => {
        wanted.how.push(how);
        wanted.log = log;
      };
      const onStart = (): void => void wanted.how.push('started');
      const { signal = new AbortController().signal, outlivesWaiter = true, saved = () => undefined } = wish;
      const request = { key: wish.key ?? key(1), signal, outlivesWaiter, logBytes: 1000, produce };
      wanted.result = table.obtain({ ...request, onQueue, onStart }, saved);
      wanted.result.catch(() => {});
      return wanted;
    },
    isSettled: async ({ result }: Wanted): Promise<boolean> => {
      const turn = setImmediate('still waiting');
      return (await Promise.race([result.catch(() => {}), turn])) !== 'still waiting';
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

/** All that a log has when its step has ended. */
export async function textOf(log: StepLog | undefined): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of log?.follow() ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function troubled(writer: LogWriter, { failing, held }: Trouble, hold: () => Promise<void>): LogWriter {
  return {
    log: writer.log,
    write: async (chunk) => {
      if (held === 'write') await hold();
      await writer.write(chunk);
      if (failing === 'write') throw new Error('the disk is full');
    },
    end: async () => {
      if (held === 'end') await hold();
      await writer.end();
      if (failing === 'end') throw new Error('the disk is full');
    },
  };
}
