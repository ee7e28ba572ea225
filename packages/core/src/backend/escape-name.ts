/**
 * A file name for any text, so that no two texts share one, also on a disk that ignores case.
 * It has at most 240 characters, starts with `c-`, and stays readable where it can.
 *
 * Small letters, digits, `_`, `.` and `-` stand for themselves; every other byte becomes `%` and two hex digits.
 * {@link unescapeName} is the inverse.
 *
 * @throws RangeError if the name would be longer; a spec with such a cache name is refused before it comes here.
 */
export function escapeName(text: string): string {
  const escaped = `c-${[...new TextEncoder().encode(text)].map(escapeByte).join('')}`;
  if (escaped.length > 240) throw new RangeError(`the name "${text.slice(0, 40)}..." is too long`);
  return escaped;
}

/** @returns undefined if `name` did not come from {@link escapeName}. */
export function unescapeName(name: string): string | undefined {
  const body = /^c-((?:[a-z0-9_.-]|%[0-9a-f]{2})*)$/.exec(name)?.[1];
  if (body === undefined) return undefined;
  const bytes = body.match(/%..|[^%]/g) ?? [];
  return new TextDecoder().decode(
    Uint8Array.from(bytes, (byte) =>
      byte.length === 3 ? Number.parseInt(byte.slice(1), 16) : byte.charCodeAt(0),
    ),
  );
}

function escapeByte(byte: number): string {
  const char = String.fromCharCode(byte);
  return /[a-z0-9_.-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`;
}
