import type { StepKey } from '../backend/names.ts';

/**
 * Which saved steps may go. The least recently used go first, and what is in use or built upon stays.
 *
 * A step goes if it is unused since `unusedSince`, or as long as the store has less than `keepFreeBytes`
 * free or more than `maxObjects` steps. Without any of the three, all that is not in use goes.
 */
export interface PrunePolicy {
  readonly unusedSince?: Date;
  readonly keepFreeBytes?: number;
  readonly maxObjects?: number;
  /** How many steps may go at the most. */
  readonly limit?: number;
  readonly onRemoved?: (key: StepKey) => void;
}
