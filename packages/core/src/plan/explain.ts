import type { StepKey } from '../backend/names.ts';

/** Why a step has the key it has. */
export interface Explanation {
  readonly key: StepKey;
  readonly saved: boolean;
  /** The canonical inputs, as JSON. */
  readonly inputs: unknown;
  /** The saved step whose inputs differ least, and each difference; undefined if none is comparable. */
  readonly nearest: { readonly key: StepKey; readonly differences: readonly Difference[] } | undefined;
}

/** One place where two steps' inputs differ. `was` or `is` is undefined where it is absent. */
export interface Difference {
  /** Such as `env.OPAMJOBS`, `argv[2]` or `parent`. */
  readonly path: string;
  readonly was: unknown;
  readonly is: unknown;
}

/** Every leaf in which two JSON values differ, in the order of their paths. */
export function differences(was: unknown, is: unknown): Difference[] {
  return compare('', was, is);
}

function compare(path: string, was: unknown, is: unknown): Difference[] {
  if (was === is) return [];
  if (Array.isArray(was) && Array.isArray(is)) {
    const length = Math.max(was.length, is.length);
    return Array.from({ length }, (_, i) => compare(`${path}[${i}]`, was[i], is[i])).flat();
  }
  if (isObject(was) && isObject(is)) {
    const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].sort();
    return names.flatMap((name) => compare(path === '' ? name : `${path}.${name}`, was[name], is[name]));
  }
  return [{ path, was, is }];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
