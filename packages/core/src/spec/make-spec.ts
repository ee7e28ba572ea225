import { type CacheId, type Owner, toCacheId } from '../backend/names.ts';
import type { BuildkitOptions, CacheUse, CopyOp, Op, RunOp, SecretUse, Spec, Stage } from './spec.ts';

/**
 * Makes a {@link Spec} from its base image and its parts, in order. Stages may stand among the ops: what counts is
 * that a stage comes before the stages that copy from it.
 *
 * ```ts
 * const hello = spec(
 *   'debian:12',
 *   stage('build', spec('gcc:14', copy('hello.c', '/src/'), workdir('/src'), run('make hello'))),
 *   copy('/src/hello', '/usr/bin/', { from: 'build' }),
 *   run('hello', { network: ['host'], caches: [cache('apt', '/var/cache/apt')] }),
 * );
 * ```
 *
 * Like all functions here it checks nothing: {@link checkSpec} does, and a builder refuses what breaks its rules.
 */
export function spec(from: string, ...parts: readonly (Stage | Op)[]): Spec {
  const stages = parts.filter((part): part is Stage => !('op' in part));
  const ops = parts.filter((part): part is Op => 'op' in part);
  return { stages, from, ops };
}

/** A spec that others can copy from, under a name: `(build NAME SPEC)`. */
export function stage(name: string, spec: Spec): Stage {
  return { name, spec };
}

export interface RunOptions {
  /** Default: no network at all. */
  readonly network?: readonly 'host'[];
  readonly caches?: readonly CacheUse[];
  readonly secrets?: readonly SecretUse[];
}

/** Runs a command with the shell in force: `(run (shell COMMAND))`. */
export function run(command: string, { network = [], caches = [], secrets = [] }: RunOptions = {}): RunOp {
  return { op: 'run', command, network, caches, secrets };
}

/** A cache volume for {@link run}: `(ID (target PATH))`. */
export function cache(
  id: string | CacheId,
  target: string,
  { buildkitOptions }: { readonly buildkitOptions?: BuildkitOptions } = {},
): CacheUse {
  return { id: toCacheId(id), target, ...(buildkitOptions === undefined ? {} : { buildkitOptions }) };
}

/** A secret for {@link run}, as a file at `target`: `(ID (target PATH))`. */
export function secret(
  id: string,
  target: string,
  { buildkitOptions }: { readonly buildkitOptions?: BuildkitOptions } = {},
): SecretUse {
  return { id, target, ...(buildkitOptions === undefined ? {} : { buildkitOptions }) };
}

export interface CopyOptions {
  /** The stage to copy from. Default: the context. */
  readonly from?: string;
  /** Patterns of what is left out below a source; see {@link CopyOp.exclude}. */
  readonly exclude?: readonly string[];
}

/**
 * Copies files and directories: `(copy (src PATH ...) (dst PATH))`.
 *
 * With a `dst` that ends with `/` each source goes into that directory under its own name. Otherwise there is one
 * source, and it becomes `dst`.
 */
export function copy(
  src: string | readonly string[],
  dst: string,
  { from, exclude = [] }: CopyOptions = {},
): CopyOp {
  const source = from === undefined ? 'context' : { stage: from };
  return { op: 'copy', from: source, src: typeof src === 'string' ? [src] : src, dst, exclude };
}

/** Sets an environment variable for what follows: `(env NAME VALUE)`. */
export function env(name: string, value: string): Op {
  return { op: 'env', name, value };
}

/** The directory of what follows: `(workdir DIR)`. A relative one starts at the last. */
export function workdir(path: string): Op {
  return { op: 'workdir', path };
}

/** Who runs the commands and owns the files of what follows: `(user (uid N) (gid N))` or `(user (name NAME))`. */
export function user(who: string | Owner): Op {
  return { op: 'user', user: typeof who === 'string' ? { name: who } : { uid: who.uid, gid: who.gid } };
}

/** The program, and its arguments before the command, that runs what follows: `(shell ARG ...)`. */
export function shell(...argv: readonly string[]): Op {
  return { op: 'shell', argv };
}

/** A remark: `(comment TEXT)`. */
export function comment(text: string): Op {
  return { op: 'comment', text };
}
