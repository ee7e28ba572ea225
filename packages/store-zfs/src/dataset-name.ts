import { err, ok, type Result, type StoreError } from '@snapstep/core/backend';

/** The longest name that OpenZFS takes, with the snapshot after the `@` (ZFS_MAX_DATASET_NAME_LEN less its NUL). */
const LONGEST = 255;

/**
 * One component of a dataset's name for any text, so that no two texts share one, also on pools that ignore
 * case. It starts with `c-`; small letters, digits, `_`, `.` and `-` stand for themselves, and every other
 * byte becomes `:` and two hex digits, since a dataset's name may not hold a `%` (zfsconcepts(7)).
 *
 * @returns `failed` if the name would be longer than what is left below `parent`.
 */
export function componentFor(text: string, parent: string): Result<string, StoreError> {
  const escaped = [...new TextEncoder().encode(text)].map(escapeByte).join('');
  const name = `c-${escaped}`;
  if (parent.length + 1 + name.length <= LONGEST) return ok(name);
  return err({
    type: 'failed',
    message: `the name "${text.slice(0, 40)}" is too long for a dataset below ${parent}`,
  });
}

/** The text that {@link componentFor} gave the name to; undefined for any other name. */
export function textOf(component: string): string | undefined {
  const body = /^c-((?:[a-z0-9_.-]|:[0-9a-f]{2})*)$/.exec(component)?.[1];
  if (body === undefined) return undefined;
  const bytes = body.match(/:..|[^:]/g) ?? [];
  const decode = (byte: string): number =>
    byte.length === 3 ? Number.parseInt(byte.slice(1), 16) : byte.charCodeAt(0);
  return new TextDecoder().decode(Uint8Array.from(bytes, decode));
}

/** Whether a text names a dataset: `pool`, or `pool/path`, without a snapshot. */
export function isDatasetName(text: string): boolean {
  const component = /^[A-Za-z0-9][A-Za-z0-9_.:-]*$/;
  const [pool = '', ...path] = text.split('/');
  return (
    /^[A-Za-z]/.test(pool) && [pool, ...path].every((part) => component.test(part)) && text.length <= LONGEST
  );
}

function escapeByte(byte: number): string {
  const char = String.fromCharCode(byte);
  return /[a-z0-9_.-]/.test(char) ? char : `:${byte.toString(16).padStart(2, '0')}`;
}
