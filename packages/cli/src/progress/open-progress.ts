import { jsonProgress } from './json.ts';
import { liveProgress } from './live.ts';
import { plainProgress } from './plain.ts';
import type { Progress, ProgressMode } from './progress.ts';

export function openProgress(mode: ProgressMode): Progress {
  if (mode === 'json') return jsonProgress();
  return mode === 'auto' && canRedraw() ? liveProgress() : plainProgress();
}

/** Some terminals, such as those that only record, have no size. */
function canRedraw(): boolean {
  const { isTTY, columns, rows } = process.stderr;
  return isTTY === true && columns > 0 && rows > 0 && process.env.TERM !== 'dumb' && !process.env.CI;
}
