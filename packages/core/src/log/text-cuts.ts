/** How far from a cut the end of a line is looked for, in a log of this limit. */
export function nearOf(limit: number): number {
  return Math.min(4096, Math.floor(limit / 8));
}

/**
 * How much of it can stay in front of a cut: up to the last end of a line, or of a character where there is no line near.
 *
 * @param options.isAfterLine - Whether a line begins with these bytes.
 */
export function textEnd(
  bytes: Uint8Array,
  { near, isAfterLine }: { readonly near: number; readonly isAfterLine: boolean },
): number {
  const line = bytes.lastIndexOf(NEWLINE) + 1;
  if ((line > 0 || isAfterLine) && bytes.length - line <= near) return line;
  const last = bytes.findLastIndex((byte) => !isContinuation(byte));
  const isCut = last >= 0 && last >= bytes.length - LONGEST && last + lengthOf(bytes[last]) > bytes.length;
  return isCut ? last : bytes.length;
}

/** Where the text behind a cut begins: after the first end of a line, or at a character where there is no line near. */
export function textStart(bytes: Uint8Array, near: number): number {
  const line = bytes.subarray(0, near).indexOf(NEWLINE) + 1;
  if (line > 0) return line;
  const first = bytes.subarray(0, LONGEST).findIndex((byte) => !isContinuation(byte));
  return Math.max(0, first);
}

export const NEWLINE = 0x0a;
/** Bytes of the longest character of UTF-8. */
const LONGEST = 4;

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** How many bytes a character has that begins with this one. */
function lengthOf(first = 0): number {
  if (first < 0xc0) return 1;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}
