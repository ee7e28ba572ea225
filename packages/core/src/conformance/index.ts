export { churn } from './crash/churn.ts';
export { type CrashPlace, type CrashSuiteOptions, crashSuite } from './crash/crash-suite.ts';
export { occupy } from './sandbox/crash.ts';
export type { NetworkTools } from './sandbox/network.ts';
export type { SandboxAccount, SandboxPlace, SandboxWorld } from './sandbox/place.ts';
export { type SandboxSuiteOptions, type SandboxTopic, sandboxSuite } from './sandbox/sandbox-suite.ts';
export type { StorePlace } from './store/scene.ts';
export { type StoreSuiteOptions, type StoreTopic, storeSuite } from './store/store-suite.ts';
export type { TestFunctions } from './test-functions.ts';
