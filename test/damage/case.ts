import type { Need } from '@snapstep/test-support/machine';
import type { Bench } from './bench.ts';
import type { Finding } from './finding.ts';
import type { Worker } from './worker.ts';

/** One damage, with all that happens around it. */
export interface DamageCase {
  /** `kind:what:how`, which chooses it on the command line. */
  readonly name: string;
  /** For the table. */
  readonly kind: string;
  readonly class: string;
  /** Whether it belongs to the standard run; the others run with `--long`, or when they are named. */
  readonly isStandard: boolean;
  readonly run: (scene: CaseScene) => Promise<CaseReport>;
}

export interface CaseScene {
  readonly bench: Bench;
  readonly worker: Worker;
  readonly seed: string;
}

export interface CaseReport {
  readonly findings: readonly Finding[];
  /** How many calls said, as they should, that they failed. */
  readonly told: number;
}

export const NEEDS: readonly Need[] = [
  'root',
  'btrfs',
  'xfs',
  'busybox',
  'runc',
  'crun',
  'rsync',
  'skopeo',
  'umoci',
];
