export type { MacosUser } from './macos-user.ts';
export { type MacosSandboxOptions, openMacosSandbox } from './open.ts';
