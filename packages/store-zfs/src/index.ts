export { componentFor, isDatasetName, textOf } from './dataset-name.ts';
export { inspectZfs, type ZfsInspection } from './inspect.ts';
export { openZfsStore, type ZfsStoreOptions } from './open.ts';
export type { PoolState, ZfsVersion } from './pool.ts';
export type { ZfsStore } from './zfs-store.ts';
