import { posix } from 'node:path';
import { escapeName } from '../backend/escape-name.ts';
import { checkText, type Finding } from './check-text.ts';
import type { BuildkitOptions, RunOp, SecretUse } from './spec.ts';
import { quote } from './suggest.ts';

/** @param workdir - Undefined while only the base image knows it. */
export function* checkMounts(
  op: RunOp,
  { path, workdir }: { path: string; workdir: string | undefined },
): Generator<Finding> {
  const taken = new Set<string>();
  for (const field of ['caches', 'secrets'] as const) {
    for (const [index, use] of op[field].entries()) {
      const place = `${path}.${field}[${index}]`;
      yield* checkMount(use, { path: place, what: field === 'caches' ? 'cache' : 'secret' });
      const target = resolveTarget(use.target, workdir);
      if (target === '/')
        yield { path: `${place}.target`, message: 'nothing can be mounted on the root directory' };
      if (taken.has(target)) {
        yield {
          path: `${place}.target`,
          message: `two mounts of this run have the target ${quote(use.target)}`,
        };
      }
      taken.add(target);
    }
  }
}

function* checkMount(
  use: SecretUse,
  { path, what }: { path: string; what: 'cache' | 'secret' },
): Generator<Finding> {
  // OBuilder takes a cache without a name; a secret that has none cannot be given.
  yield* checkText(use.id, { path: `${path}.id`, ...(what === 'secret' && { what: 'the id of a secret' }) });
  if (what === 'cache' && !fitsFileName(use.id)) {
    yield { path: `${path}.id`, message: `the id of the cache ${quote(use.id)} is too long for a file name` };
  }
  yield* checkText(use.target, { path: `${path}.target`, what: `the target of a ${what}` });
  yield* checkOptions(use.buildkitOptions ?? [], `${path}.buildkitOptions`);
}

function fitsFileName(id: string): boolean {
  if (id.length > 240) return false;
  try {
    escapeName(id);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** They would contradict what the entry says. */
const spoken = ['type', 'id', 'target', 'dst', 'destination'];

function* checkOptions(options: BuildkitOptions, path: string): Generator<Finding> {
  for (const [index, [key, value]] of options.entries()) {
    yield* checkText(key, { path: `${path}[${index}]`, what: 'the key of an option' });
    yield* checkText(value, { path: `${path}[${index}]` });
    if (!/^[a-z-]+$/.test(key)) {
      yield {
        path: `${path}[${index}]`,
        message: `the key of an option has small letters and dashes only, not ${quote(key)}`,
      };
    }
    if (spoken.includes(key)) {
      yield {
        path: `${path}[${index}]`,
        message: `the option ${quote(key)} may not be given: the entry itself says it`,
      };
    }
  }
}

/** Where a target lies, as far as the text tells. A relative one of an unknown directory stays relative. */
function resolveTarget(target: string, workdir: string | undefined): string {
  const path = workdir === undefined || target.startsWith('/') ? target : `${workdir}/${target}`;
  const normal = posix.normalize(path).replace(/^\/\//, '/');
  return normal.length > 1 ? normal.replace(/\/$/, '') : normal;
}
