export { type BtrfsStoreOptions, openBtrfsStore } from './open.ts';
