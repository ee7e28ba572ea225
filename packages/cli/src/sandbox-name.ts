export const SANDBOXES = ['runc', 'macos'] as const;

export type SandboxName = (typeof SANDBOXES)[number];

/** What steps run in where nobody says. */
export function defaultSandbox(platform: NodeJS.Platform = process.platform): SandboxName {
  return platform === 'darwin' ? 'macos' : 'runc';
}
