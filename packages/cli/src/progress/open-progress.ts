import { jsonProgress } from './json.ts';
import { liveProgress } from './live.ts';
import { plainProgress } from './plain.ts';
import type { Progress, ProgressMode } from './progress.ts';

export function openProgress(mode: ProgressMode): Progress {
  if (mode === 'json') return jsonProgress();
  return mode === 'auto' && canRedraw() ? liveProgress() : plainProgress();
}

function canRedraw(): boolean {
  return process.stderr.isTTY === true && process.env.TERM !== 'dumb' && !process.env.CI;
}
