export * from './backend/index.ts';
export type * from './build/builder.ts';
export { type BuilderOptions, openBuilder } from './build/open-builder.ts';
export type { SavedStep } from './cache/index-db.ts';
export type { PrunePolicy } from './cache/prune.ts';
export type { FollowOptions, StepLog } from './log/step-log.ts';
export type { Difference, Explanation } from './plan/explain.ts';
export { canonicalJson, type KeyedInputs, stepKey } from './plan/key.ts';
export * from './spec/index.ts';
