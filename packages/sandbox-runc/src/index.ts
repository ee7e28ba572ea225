export { openRuncSandbox, type RuncSandboxOptions } from './open.ts';
