export type { Expectation } from './command-queue.ts';
export { MemoryDisk, type MemoryDiskOptions, memoryDisk } from './memory-disk.ts';
export { type MemoryStore, type MemoryStoreOptions, memoryStore, openMemoryStore } from './memory-store.ts';
export type { CommandIo, ExpectedCommand, ScriptedCommand } from './scripted-command.ts';
export { type ScriptedFetcher, type ScriptedImage, scriptedFetcher } from './scripted-fetcher.ts';
export {
  type Script,
  type ScriptedSandbox,
  type ScriptedSandboxOptions,
  scriptedSandbox,
} from './scripted-sandbox.ts';
export { type VirtualClock, virtualClock } from './virtual-clock.ts';
