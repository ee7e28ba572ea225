export { MemoryDisk, type MemoryDiskOptions, memoryDisk } from './memory-disk.ts';
export { type MemoryStore, type MemoryStoreOptions, memoryStore, openMemoryStore } from './memory-store.ts';
export { type ScriptedImage, scriptedFetcher } from './scripted-fetcher.ts';
export { type ScriptedCommand, type ScriptedSandbox, scriptedSandbox } from './scripted-sandbox.ts';
