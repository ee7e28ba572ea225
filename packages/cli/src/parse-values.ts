import { InvalidArgumentError } from 'commander';
import parseDurationText from 'parse-duration';

const UNITS = ['', 'k', 'm', 'g', 't', 'p'];

/**
 * A number of bytes, such as `512M` or `1.5GiB`. Units are powers of 1024, in any case.
 *
 * @throws InvalidArgumentError, as commander expects of a parser of options.
 */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text) ?? [];
  if (digits === undefined || unit === undefined) {
    throw new InvalidArgumentError('It should be a size such as 512M or 2G.');
  }
  return Math.round(Number(digits) * 1024 ** UNITS.indexOf(unit.toLowerCase()));
}

/**
 * Milliseconds, of a text such as `10m`, `1h30m` or `7d`. A unit is required.
 *
 * @throws InvalidArgumentError
 */
export function parseDuration(text: string): number {
  const milliseconds = /^(\d+(\.\d+)?\s*[a-z]+\s*)+$/i.test(text) ? parseDurationText(text) : null;
  if (milliseconds === null || !(milliseconds > 0)) {
    throw new InvalidArgumentError('It should be a time with its unit, such as 30s, 10m, 1h30m or 7d.');
  }
  return milliseconds;
}

/**
 * A whole number of at least 1.
 *
 * @throws InvalidArgumentError
 */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || !Number.isSafeInteger(count)) {
    throw new InvalidArgumentError('It should be a whole number of at least 1.');
  }
  return count;
}

/**
 * A whole number of at least 0, such as an offset in bytes.
 *
 * @throws InvalidArgumentError
 */
export function parseOffset(text: string): number {
  return text === '0' ? 0 : parseCount(text);
}

/**
 * How many processors, such as `1.5`.
 *
 * @throws InvalidArgumentError
 */
export function parseCpus(text: string): number {
  const cpus = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || !(cpus > 0)) {
    throw new InvalidArgumentError('It should be a number of processors, such as 2 or 1.5.');
  }
  return cpus;
}

/** How much to keep free: bytes, or a share of the whole. */
export type FreeSpace = { readonly bytes: number } | { readonly percent: number };

/**
 * `20G`, or `20%` of the store.
 *
 * @throws InvalidArgumentError
 */
export function parseFreeSpace(text: string): FreeSpace {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (percent === undefined) return { bytes: parseSize(text) };
  if (Number(percent) > 100) throw new InvalidArgumentError('It should be at most 100%.');
  return { percent: Number(percent) };
}

/**
 * One more `NAME=VALUE` or `ID:FILE` of an option that may be given many times.
 *
 * @throws InvalidArgumentError if the separator is missing, a side is empty, or the name came before.
 */
export function pairs(
  separator: string,
): (text: string, previous?: ReadonlyMap<string, string>) => ReadonlyMap<string, string> {
  return (text, previous) => {
    const at = text.indexOf(separator);
    const [name, value] = [text.slice(0, at), text.slice(at + 1)];
    if (at < 1 || value === '') {
      throw new InvalidArgumentError(`It should be two words with "${separator}" between them.`);
    }
    if (previous?.has(name)) throw new InvalidArgumentError(`"${name}" was already given.`);
    return new Map(previous).set(name, value);
  };
}

/** One more value of an option that may be given many times. */
export function values(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text];
}

/**
 * A path that starts at the root of the host.
 *
 * @throws InvalidArgumentError
 */
export function parseAbsolutePath(text: string): string {
  if (!text.startsWith('/')) throw new InvalidArgumentError('It should be an absolute path.');
  return text.replace(/(?<=.)\/+$/, '');
}
