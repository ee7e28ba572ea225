import { hash } from 'node:crypto';
import type { CacheId, StepKey, VolumeName } from '../backend/names.ts';
import type { UserRef } from '../spec/spec.ts';

/**
 * Everything that may change what a step leaves behind. A new member changes every key: raise the version.
 *
 * What the base image says about env, user and working directory is not here: the chain of parents leads
 * to its digest. So `cwd` and `target` may be relative to the image's directory, and `user` may be absent.
 */
export type KeyedInputs =
  | {
      readonly op: 'base';
      readonly digest: string;
      readonly platform: string;
      readonly layout: readonly VolumeName[];
    }
  | {
      readonly op: 'run';
      readonly parent: StepKey;
      readonly argv: readonly string[];
      readonly cwd: string;
      readonly env: Readonly<Record<string, string>>;
      readonly user?: UserRef;
      readonly network: 'none' | 'host';
      readonly caches: readonly { readonly id: CacheId; readonly target: string }[];
      readonly secrets: readonly {
        readonly id: string;
        readonly target: string;
        readonly version?: string;
      }[];
    }
  | {
      readonly op: 'copy';
      readonly parent: StepKey;
      /** The digest of the files themselves, see {@link Manifest}. */
      readonly manifest: string;
      readonly target: string;
      readonly user?: UserRef;
    };

/** What is known of a `copy` from a stage before the stage was built. It names a result, but never holds one. */
export interface StageCopyInputs {
  readonly op: 'copy-from-stage';
  readonly parent: StepKey;
  readonly stage: StepKey;
  readonly src: readonly string[];
  readonly exclude: readonly string[];
  readonly target: string;
  readonly user?: UserRef;
}

/**
 * The only maker of keys: `sha256("snapstep/step/2\n" + canonical JSON)`, in hex.
 * Never in it: secret values, limits, labels, who asked.
 */
export function stepKey(inputs: KeyedInputs | StageCopyInputs): StepKey {
  return hash('sha256', `snapstep/step/2\n${canonicalJson(inputs)}`) as StepKey;
}

/**
 * JSON with the members of every object sorted by name and no spaces, so that equal values give equal text.
 * Members that are undefined are left out.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = value as Readonly<Record<string, unknown>>;
  const texts = Object.keys(members)
    .filter((name) => members[name] !== undefined)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(members[name])}`);
  return `{${texts.join(',')}}`;
}
