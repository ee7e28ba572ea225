import prettyBytes from 'pretty-bytes';
import prettyMilliseconds from 'pretty-ms';

/** Such as `0.4s` or `2m 10s`. */
export function formatDuration(milliseconds: number): string {
  return milliseconds < 60_000
    ? `${(milliseconds / 1000).toFixed(1)}s`
    : prettyMilliseconds(milliseconds, { secondsDecimalDigits: 0 });
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
