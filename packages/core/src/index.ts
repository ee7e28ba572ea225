export * from './backend/index.ts';
export * from './build/builder.ts';
export * from './cache/index-db.ts';
export type * from './cache/prune.ts';
export type * from './log/step-log.ts';
export type * from './plan/explain.ts';
export type * from './spec/spec.ts';
