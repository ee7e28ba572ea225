import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { systemClock } from '../../src/backend/clock.ts';
import { DiskWatch } from '../../src/build/disk-watch.ts';
import type { Full } from '../../src/build/engine.ts';
import { FailedLogs } from '../../src/build/failed-logs.ts';
import { roomOf } from '../../src/build/make-room.ts';
import { spareRules } from '../../src/build/spare-room.ts';
import { StepRecords } from '../../src/build/step-records.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import { Leases } from '../../src/cache/leases.ts';
import { StepTable } from '../../src/cache/step-table.ts';
import { type BuildError, ok, type StepKey, toHostPath, type UsageAxis } from '../../src/index.ts';
import { StepLogs } from '../../src/log/step-logs.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { key } from '../cache/keys.ts';

export interface RoomPlaceOptions {
  /** How many steps are saved. */
  readonly steps: number;
  /** What the store says of itself while it has so many steps. Default: that it is empty. */
  readonly usage?: (steps: number) => UsageAxis;
  /** Whether the disk of the builder's own directory is taken for full. */
  readonly isStateFull?: boolean;
  /** In place of a directory that is made. */
  readonly stateDir?: string;
}

/** The room of a builder with saved steps, and with the log and the record of a step that failed. */
export async function openRoom({ steps: count, isStateFull = false, ...options }: RoomPlaceOptions) {
  const [dir, store, leases] = [await tempDir(), await memoryStore(), new Leases()];
  const index = IndexDb.open(toHostPath(dir.path), systemClock);
  const stateDir = toHostPath(options.stateDir ?? dir.path);
  const logs = new StepLogs(toHostPath(join(stateDir, 'logs')));
  const records = new StepRecords(toHostPath(join(stateDir, 'steps')));
  const { usage = () => ({ axis: 'bytes', used: 0, total: 100 }) } = options;
  store.usage = async () => ok([usage(index.countSaved())]);
  for (let number = 1; number <= count; number += 1) {
    index.begin(key(number), { parent: undefined, op: 'run', title: 'run' });
    index.saved(key(number), 1);
  }
  const log = await writeLog(stateDir, key(1000));
  const engine = {
    ...{ index, store, leases, logs, records, stateDir, failedLogs: new FailedLogs() },
    steps: new StepTable<BuildError>({ leases, beginLog: (at, limits) => logs.begin(at, limits) }),
    // No disk that is used has so much left, and each has at least nothing.
    disks: new DiskWatch(
      spareRules(isStateFull ? { bytes: Infinity, part: 0.999_999 } : { bytes: 0, inodes: 0 }),
    ),
  };
  const room = roomOf(() => engine);
  return {
    ...engine,
    /** The log of the step that failed. */
    log,
    room,
    make: (full: Full, tries = 0, signal: AbortSignal = new AbortController().signal): Promise<boolean> =>
      room.make(full, { tries, signal }),
    count: (): number => index.countSaved(),
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** @returns The path of a log. */
export async function writeLog(stateDir: string, at: StepKey): Promise<string> {
  const path = join(stateDir, 'logs', at.slice(0, 2), `${at}.log`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, 'output\n');
  return path;
}
