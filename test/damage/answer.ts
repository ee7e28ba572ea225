import type { Recipe, Tree } from './recipes.ts';

/** How a public call ended. An `err` with a sentence is how a failure is to be told; all but `ok` and it are defects. */
export type Outcome = 'ok' | 'err' | 'rejected' | 'thrown' | 'hung' | 'died';

export interface Answer {
  readonly call: string;
  readonly outcome: Outcome;
  /** What an `err`, a rejection or a throw says. */
  readonly text?: string;
  /** Results that are not what they must be, one sentence for each. */
  readonly wrong?: readonly string[];
  readonly value?: unknown;
}

/** The name of a call that is none: the test itself has failed. */
export const OWN = 'the test itself';

/** Where the parts of a builder are. */
export interface WorldPlace {
  readonly store: StoreKind;
  /** Holds what the store keeps. */
  readonly storeDisk: string;
  /** Holds what builder, fetcher and sandbox keep. Default: the same. */
  readonly stateDisk?: string;
  readonly runtime: 'runc' | 'crun';
  /** The meaning of the names of images. */
  readonly images: Readonly<Record<string, string>>;
  readonly context: string;
}

export type StoreKind = 'rsync' | 'btrfs' | 'overlayfs';

/** A step of a recipe, by which its key is known to everybody. */
export interface KnownStep {
  readonly key: string;
  readonly tree: Tree;
}

/** A step as a build tells it. */
export interface BuiltStep extends KnownStep {
  readonly stage: string;
  /** From 1. */
  readonly number: number;
  readonly source: string;
}

/** What the process with the builder can be asked for. */
export type Ask =
  | { readonly do: 'open'; readonly place: WorldPlace }
  | { readonly do: 'build'; readonly recipe: Recipe; readonly pauseAt?: string }
  | { readonly do: 'plan'; readonly recipe: Recipe }
  | { readonly do: 'explain' | 'log' | 'remove'; readonly key: string }
  | { readonly do: 'audit'; readonly known: readonly KnownStep[] }
  | { readonly do: 'prune'; readonly limit?: number }
  | { readonly do: 'remove-cache'; readonly id: string }
  | { readonly do: 'healthcheck'; readonly image: string }
  | { readonly do: 'list' | 'usage' | 'caches' | 'close' }
  | { readonly do: 'leave-descriptors'; readonly count: number }
  | { readonly do: 'count-descriptors' | 'release-descriptors' };

/** What the process says by itself. */
export type Said =
  | { readonly answers: readonly Answer[]; readonly to: number }
  | { readonly trap: 'unhandledRejection' | 'uncaughtException'; readonly text: string }
  /** A step's output holds what a build was asked to pause at. It goes on when it is told so. */
  | { readonly paused: true };
