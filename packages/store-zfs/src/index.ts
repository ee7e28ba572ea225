export { componentFor, isDatasetName, textOf } from './dataset-name.ts';
export { inspectZfs, type ZfsInspection } from './inspect.ts';
export type { PoolState, ZfsVersion } from './zfs.ts';
