export type { CopyMethod } from './copy-method.ts';
export { openRsyncStore, type RsyncStoreOptions } from './open.ts';
