export { type MemoryStore, memoryStore } from './memory-store.ts';
export { type ScriptedImage, scriptedFetcher } from './scripted-fetcher.ts';
export { type ScriptedCommand, type ScriptedSandbox, scriptedSandbox } from './scripted-sandbox.ts';
