export type { Allowance } from './allowance.ts';
export { openRuncSandbox, type RuncSandboxOptions } from './open.ts';
