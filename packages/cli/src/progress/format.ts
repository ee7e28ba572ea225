import prettyBytes from 'pretty-bytes';
import prettyMilliseconds from 'pretty-ms';

/** Steps wait for moments all the time; from here on a wait is worth a word. In milliseconds. */
export const LONG_WAIT_MS = 1000;

/** Such as `0.4s` or `2m 10s`. */
export function formatDuration(milliseconds: number): string {
  return milliseconds < 60_000
    ? `${(milliseconds / 1000).toFixed(1)}s`
    : prettyMilliseconds(milliseconds, { secondsDecimalDigits: 0 });
}

/** How long a step took, such as `0.4s`, and `0.4s, after waiting 2.0s` where it waited for a second and longer. */
export function formatTimes(times: {
  readonly milliseconds: number;
  readonly waitedMilliseconds: number;
}): string {
  const waited = times.waitedMilliseconds;
  const after = waited < LONG_WAIT_MS ? '' : `, after waiting ${formatDuration(waited)}`;
  return `${formatDuration(times.milliseconds)}${after}`;
}

/** Such as `3 h ago`. */
export function formatAge(date: Date): string {
  const milliseconds = Math.max(0, Date.now() - date.getTime());
  return milliseconds < 1000 ? 'just now' : `${prettyMilliseconds(milliseconds, { compact: true })} ago`;
}

/** Such as `1.5 GiB`. */
export function formatSize(bytes: number): string {
  return prettyBytes(bytes, { binary: true });
}
