import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isStepKey } from '../backend/names.ts';
import type { Engine } from './engine.ts';

/** How long the log of a step that failed is kept. */
const KEPT_MS = 7 * 24 * 3600 * 1000;

/** Removes logs and records of steps that failed, or were only planned, a week ago. */
export async function sweepLeftovers({ stateDir, index, steps, logs, records }: Engine): Promise<void> {
  const before = Date.now() - KEPT_MS;
  for (const kind of ['logs', 'steps']) {
    const files = await readdir(join(stateDir, kind), { recursive: true, withFileTypes: true }).catch(
      () => [],
    );
    for (const file of files) {
      const key = file.name.split('.')[0] ?? '';
      if (!file.isFile() || !isStepKey(key) || index.has(key) || steps.isRunning(key)) continue;
      const found = await stat(join(file.parentPath, file.name)).catch(() => undefined);
      if (found === undefined || found.mtimeMs > before) continue;
      await logs.remove(key);
      await records.remove(key);
    }
  }
}
