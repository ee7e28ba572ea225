/** Keeps the process from all else. */
export function work(milliseconds: number): void {
  for (const start = performance.now(); performance.now() - start < milliseconds; );
}
