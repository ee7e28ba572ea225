export { type OverlayfsStoreOptions, openOverlayfsStore } from './open.ts';
