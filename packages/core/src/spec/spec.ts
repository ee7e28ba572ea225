import type { CacheId, Owner } from '../backend/names.ts';

/** A parsed build script. Plain data: it can be kept as JSON, compared, and made by hand. */
export interface Spec {
  /** Specs that this one can copy from, in order. Each sees those before it, and what its parent sees. */
  readonly stages: readonly Stage[];
  /** The base image. */
  readonly from: string;
  readonly ops: readonly Op[];
}

export interface Stage {
  readonly name: string;
  readonly spec: Spec;
}

export type Op =
  | { readonly op: 'comment'; readonly text: string }
  | { readonly op: 'workdir'; readonly path: string }
  | { readonly op: 'shell'; readonly argv: readonly string[] }
  | { readonly op: 'env'; readonly name: string; readonly value: string }
  | { readonly op: 'user'; readonly user: UserRef }
  | RunOp
  | CopyOp;

export type UserRef = Owner | { readonly name: string };

export interface RunOp {
  readonly op: 'run';
  /** Given to the shell as its last argument. */
  readonly command: string;
  /** Empty: no network at all. `['host']`: the host's. Nothing else is valid. */
  readonly network: readonly string[];
  readonly caches: readonly CacheUse[];
  readonly secrets: readonly SecretUse[];
}

/** Extra words for the Dockerfile's `--mount`; no builder but BuildKit reads them. */
export type BuildkitOptions = readonly (readonly [key: string, value: string])[];

export interface CacheUse {
  readonly id: CacheId;
  /** Where it is mounted; a relative path starts at the working directory. */
  readonly target: string;
  readonly buildkitOptions?: BuildkitOptions;
}

export interface SecretUse {
  readonly id: string;
  readonly target: string;
  readonly buildkitOptions?: BuildkitOptions;
}

export interface CopyOp {
  readonly op: 'copy';
  readonly from: 'context' | { readonly stage: string };
  /** At least one. An empty one is the whole context or stage, as `.` is. */
  readonly src: readonly string[];
  readonly dst: string;
  /**
   * Patterns of what is left out below a source, as lines of a `.gitignore` in there: a name alone matches at any depth,
   * `*`, `?` and `[...]` match within a name, a `/` in it makes it a path from the source, `**` stands for any
   * directories, and `!` takes back.
   */
  readonly exclude: readonly string[];
}

/** What is wrong with a spec, and where. Line and column count from 1, the column in bytes. */
export interface SpecError {
  readonly message: string;
  /** Absent where the spec did not come from text. */
  readonly line?: number;
  readonly column?: number;
}
