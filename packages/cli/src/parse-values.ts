import { IGNORE_FILES, type IgnoreFile } from '@snapstep/core';
import type { Allowance } from '@snapstep/sandbox-runc';
import { InvalidArgumentError } from 'commander';
import parseDurationText from 'parse-duration';

const UNITS = ['b', 'k', 'm', 'g', 't', 'p'];

/**
 * A number of bytes, such as `512M`, `1.5GiB` or `4096B`. A unit is required, for `20` may be meant as bytes or as
 * gigabytes; units are powers of 1024, in any case.
 *
 * @throws InvalidArgumentError, as commander expects of a parser of options.
 */
export function parseSize(text: string): number {
  const bytes = bytesOf(text);
  if (bytes === undefined) {
    throw new InvalidArgumentError('It should be a size with its unit, such as 512M, 2G or 4096B.');
  }
  return bytes;
}

/**
 * A size of at least one byte.
 *
 * @throws InvalidArgumentError
 */
export function parseMemory(text: string): number {
  const bytes = parseSize(text);
  if (bytes < 1) throw new InvalidArgumentError('It should be more than nothing, such as 512M or 2G.');
  return bytes;
}

/** A limit, or `none`: then there is none, where it would have a default. */
export function orNone(parse: (text: string) => number): (text: string) => number {
  return (text) => (text === 'none' ? Infinity : parse(text));
}

function bytesOf(text: string): number | undefined {
  const [, digits, unit = 'b'] = /^(\d+(?:\.\d+)?)\s*(?:b|([kmgtp])(?:i?b)?)$/i.exec(text) ?? [];
  const bytes = Math.round(Number(digits) * 1024 ** UNITS.indexOf(unit.toLowerCase()));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Much longer times lead to dates that do not exist. */
const CENTURY = 100 * 366 * 24 * 3600 * 1000;

/**
 * Milliseconds, of a text such as `10m`, `1h30m` or `7d`. A unit is required, and more than a century is refused.
 *
 * @throws InvalidArgumentError
 */
export function parseDuration(text: string): number {
  const milliseconds = /^(\d+(\.\d+)?\s*[a-z]+\s*)+$/i.test(text) ? parseDurationText(text) : null;
  if (milliseconds === null || !(milliseconds > 0)) {
    throw new InvalidArgumentError('It should be a time with its unit, such as 30s, 10m, 1h30m or 7d.');
  }
  if (milliseconds > CENTURY) throw new InvalidArgumentError('It should be at most 100 years.');
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

/** PID_MAX_LIMIT of Linux, https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html */
const MOST_PIDS = 4_194_304;

/**
 * How many processes and threads.
 *
 * @throws InvalidArgumentError
 */
export function parsePids(text: string): number {
  const count = parseCount(text);
  if (count > MOST_PIDS) throw new InvalidArgumentError(`It should be at most ${MOST_PIDS}.`);
  return count;
}

/**
 * A whole number of at least 0, such as an offset in bytes.
 *
 * @throws InvalidArgumentError
 */
export function parseOffset(text: string): number {
  const offset = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(offset)) return offset;
  throw new InvalidArgumentError('It should be a whole number.');
}

/** Twice what Linux can be built for: CONFIG_NR_CPUS. A quota has an end somewhere. */
const MOST_CPUS = 16_384;

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
  if (cpus > MOST_CPUS) throw new InvalidArgumentError(`It should be at most ${MOST_CPUS}.`);
  return cpus;
}

/** How much to keep free: bytes, or a share of the whole. */
export type FreeSpace = { readonly bytes: number } | { readonly percent: number };

/**
 * `20G`, or `20%` of the store. A unit is required.
 *
 * @throws InvalidArgumentError
 */
export function parseFreeSpace(text: string): FreeSpace {
  const percent = /^(\d+(?:\.\d+)?)\s*%$/.exec(text)?.[1];
  if (percent !== undefined && Number(percent) <= 100) return { percent: Number(percent) };
  if (percent !== undefined) throw new InvalidArgumentError('It should be at most 100%.');
  const bytes = bytesOf(text);
  if (bytes !== undefined) return { bytes };
  throw new InvalidArgumentError('It should be a size or a share with its unit, such as 20G or 20%.');
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

/**
 * One more `HOST` or `HOST:PORT` of an option that may be given many times.
 *
 * @throws InvalidArgumentError for a URL, which would match no registry.
 */
export function hosts(text: string, previous: readonly string[] = []): readonly string[] {
  if (!/^(?:[\w-]+(?:\.[\w-]+)*|\[[0-9a-f:]+\])(?::\d+)?$/i.test(text)) {
    throw new InvalidArgumentError('It should be a host, or host:port, such as 127.0.0.1:5000.');
  }
  return [...previous, text];
}

/**
 * Adds an ignore file to those given before.
 *
 * @throws InvalidArgumentError for any other name: nobody would know how to read it.
 */
export function ignoreFiles(text: string, previous: readonly IgnoreFile[] = []): readonly IgnoreFile[] {
  const known = IGNORE_FILES.find((name) => name === text);
  if (known === undefined) throw new InvalidArgumentError(`It should be ${IGNORE_FILES.join(' or ')}.`);
  return [...previous, known];
}

const ALLOWANCES = ['user-namespaces', 'io-uring'] as const satisfies readonly Allowance[];

/**
 * Adds something that steps may use to those given before.
 *
 * @throws InvalidArgumentError for what no sandbox knows.
 */
export function allowances(text: string, previous: readonly Allowance[] = []): readonly Allowance[] {
  const known = ALLOWANCES.find((name) => name === text);
  if (known === undefined) throw new InvalidArgumentError(`It should be ${ALLOWANCES.join(' or ')}.`);
  return [...previous, known];
}

/**
 * What may be anything but nothing, as an unset variable of a shell gives it.
 *
 * @throws InvalidArgumentError
 */
export function parseText(text: string): string {
  if (text === '') throw new InvalidArgumentError('It should not be empty.');
  return text;
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

/** The mode of a directory, such as `755`. */
export function parseMode(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text))
    throw new InvalidArgumentError('It should be three octal digits, such as 700 or 755.');
  return Number.parseInt(text, 8);
}
