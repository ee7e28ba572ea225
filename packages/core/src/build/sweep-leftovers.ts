import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isStepKey, type StepKey } from '../backend/names.ts';
import type { LogFile } from '../log/step-logs.ts';
import type { BuilderUsage } from './builder.ts';
import type { Engine } from './engine.ts';

/** What sweeping needs of an engine. */
export type Sweeping = Pick<Engine, 'index' | 'steps' | 'logs' | 'records' | 'failedLogs' | 'stateDir'>;

/** What is swept beside what is older than it may be, and beyond what is kept. */
export interface SweepOptions {
  /** What was written before then, as `Date.now` tells; `Infinity`: all. */
  readonly before?: number;
}

/**
 * Removes logs and records of steps that are not saved: they failed, were cancelled, or were only planned. Those of a
 * step that runs stay.
 *
 * @returns How many bytes of logs went.
 */
export async function sweepLeftovers(engine: Sweeping, { before = 0 }: SweepOptions = {}): Promise<number> {
  const { failedLogs, logs } = engine;
  failedLogs.swept();
  const oldest = Math.max(before, Date.now() - failedLogs.maxAgeMs);
  const failed = await filesOfFailed(engine);
  let kept = failed.reduce((sum, { bytes }) => sum + bytes, 0);
  let swept = 0;
  for (const file of failed) {
    if (file.writtenAt >= oldest && kept <= failedLogs.maxBytes) continue;
    const isGone = await forget(engine, file.key, () => logs.removeFile(file));
    kept -= file.bytes;
    if (isGone) swept += file.bytes;
  }
  await sweepRecords(engine, oldest);
  return swept;
}

/** What logs take: all of them, and those of steps that are not saved. */
export async function logUsage({ logs, index, failedLogs }: Sweeping): Promise<BuilderUsage> {
  let [all, failed] = [0, 0];
  for await (const { key, bytes } of logs.files()) {
    all += bytes;
    if (!index.has(key)) failed += bytes;
  }
  const { maxBytes } = failedLogs;
  return [
    { axis: 'log-bytes', used: all },
    { axis: 'failed-log-bytes', used: failed, ...(Number.isFinite(maxBytes) && { total: maxBytes }) },
  ];
}

/** The oldest first. */
async function filesOfFailed({ logs, index }: Sweeping): Promise<LogFile[]> {
  const files: LogFile[] = [];
  for await (const file of logs.files()) if (!index.has(file.key)) files.push(file);
  return files.sort((a, b) => a.writtenAt - b.writtenAt);
}

async function sweepRecords(engine: Sweeping, oldest: number): Promise<void> {
  const directory = join(engine.stateDir, 'steps');
  const files = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const file of files) {
    const key = file.name.split('.')[0] ?? '';
    if (!file.isFile() || !isStepKey(key) || engine.index.has(key)) continue;
    const path = join(file.parentPath, file.name);
    const found = await stat(path).catch(() => undefined);
    // It may be half of a record, for which a disk had no room.
    if (found && found.mtimeMs < oldest) await forget(engine, key, () => rm(path, { force: true }));
  }
}

/** Removes what is left of a step, unless it runs, is saved, or is being removed by now. It cannot begin meanwhile. */
async function forget(engine: Sweeping, key: StepKey, removeFile: () => unknown): Promise<boolean> {
  const { index, steps, records } = engine;
  if (index.has(key) || steps.isRunning(key) || steps.isReserved(key)) return false;
  await steps.reserve([key], async () => {
    await records.remove(key);
    await removeFile();
  });
  return true;
}
