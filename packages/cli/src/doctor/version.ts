/**
 * Whether a version such as `1.1.5+ds1` or `1.4.0-rc.2` is `floor` or newer. Numbers are compared one by one, and a
 * release candidate comes before its release; undefined if the text does not start with a version.
 */
export function isAtLeast(version: string, floor: string): boolean | undefined {
  const [have, want] = [parts(version), parts(floor)];
  if (have === undefined || want === undefined) return undefined;
  const at = have.findIndex((number, index) => number !== want[index]);
  return at === -1 || (have[at] ?? 0) > (want[at] ?? 0);
}

function parts(text: string): number[] | undefined {
  const [, major, minor, patch, candidate] =
    /^v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-~.+]?rc\.?(\d+))?/.exec(text.trim()) ?? [];
  if (major === undefined) return undefined;
  return [major, minor, patch ?? 0, candidate ?? Number.POSITIVE_INFINITY].map(Number);
}
