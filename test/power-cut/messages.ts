import type { StepName } from './recipe.ts';
import type { WorldPlace } from './world.ts';

/** How a builder that is going to be cut is started: an argument of its process, as JSON. */
export interface BuilderTask extends WorldPlace {
  /** Where the contexts of builds are, by number. They are made when they are missing. */
  readonly contexts: string;
  readonly seed: number;
  /** The number of the first build that is new. */
  readonly first: number;
  /** What builders before it have made. */
  readonly made: readonly Made[];
}

export interface Made {
  readonly build: number;
  /** The first step after the base image. */
  readonly key: string;
}

/** What it is told, a line for each. It ends when nobody is there to tell it anything. */
export type Told = 'build' | 'pause' | 'close';

/** What it says, a line of JSON for each. Times are those of `Date.now`. */
export type Said =
  | { readonly type: 'open' }
  /** What a key stands for, said before the step runs. */
  | { readonly type: 'step'; readonly key: string; readonly name: StepName }
  /** A step was answered as saved. Its log has this SHA-256. */
  | { readonly type: 'saved'; readonly key: string; readonly at: number; readonly log: string }
  /** Steps were removed: somewhere from `since` on. */
  | { readonly type: 'removed'; readonly keys: readonly string[]; readonly since: number }
  /** No build is going on. */
  | { readonly type: 'idle'; readonly at: number }
  | { readonly type: 'closed'; readonly at: number }
  | { readonly type: 'failed'; readonly message: string };

/** How a verifier is started: an argument of its process, as JSON. */
export interface VerifierTask extends WorldPlace {
  /** What is left of the disk. */
  readonly file: string;
  readonly contexts: string;
  /** A file with what is known of each step: JSON of {@link KnownStep}. */
  readonly known: string;
  /** The number of a build of which steps may be lost, and of one that nobody made. */
  readonly builds: readonly [old: number, fresh: number];
}

export interface KnownStep {
  readonly key: string;
  readonly name: StepName;
  /** A log for each time that it was saved. */
  readonly logs: readonly string[];
}

/** What a verifier found: the last line that it prints, as JSON. */
export interface Found {
  /** Why the parts could not be opened; undefined if they could. */
  readonly unopened?: string;
  /** The keys that are saved after the cut. */
  readonly saved: readonly string[];
  /** What is wrong with what is saved, in lines that begin with the key. */
  readonly wrong: readonly string[];
  /** What the builds printed that were made then; also what they say of the caches. */
  readonly printed: string;
  /** What did not work afterwards. */
  readonly troubles: readonly string[];
}
