import { NEWLINE } from './text-cuts.ts';

/** A shorter value is no secret that can be kept, and would be found in most of what a step prints. */
const SHORTEST = 4;
/** Of a value with several lines. The short ones, such as `}`, are masked where the whole value is printed. */
const SHORTEST_LINE = 8;

/**
 * What is to be masked of some values: each of them, and each of its lines, since tools print a key line by line. All
 * without the blanks around them, which a file has and a variable often has not.
 */
export function secretPatterns(values: readonly Uint8Array[]): readonly Uint8Array[] {
  return values.flatMap((value) => [
    ...[trimmed(value)].filter(({ length }) => length >= SHORTEST),
    ...[...linesOf(value)].filter(({ length }) => length >= SHORTEST_LINE),
  ]);
}

function* linesOf(value: Uint8Array): Generator<Uint8Array> {
  let start = 0;
  for (let end = value.indexOf(NEWLINE); end !== -1; end = value.indexOf(NEWLINE, start)) {
    yield trimmed(value.subarray(start, end));
    start = end + 1;
  }
  yield trimmed(value.subarray(start));
}

function trimmed(value: Uint8Array): Uint8Array {
  const start = value.findIndex((byte) => !isBlank(byte));
  return value.subarray(start, value.findLastIndex((byte) => !isBlank(byte)) + 1);
}

/** Spaces, tabs and all ends of lines. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
