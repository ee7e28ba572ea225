import { err, ok, type Result, runCommand, type StoreError } from '@snapstep/core/backend';

export interface ZfsVersion {
  readonly major: number;
  readonly minor: number;
  /** As `zfs version` prints it, such as `zfs-2.1.11-1+deb12u1`. */
  readonly text: string;
}

/** What `zpool list` knows of a pool. Sizes are in bytes. */
export interface PoolState {
  readonly health: string;
  readonly size: number;
  readonly allocated: number;
  readonly free: number;
}

/** The version of the userland tools. */
export async function version(): Promise<Result<ZfsVersion, StoreError>> {
  const printed = await runCommand('zfs', ['version']);
  return printed.isErr() ? err(printed.error) : parseVersion(printed.value);
}

/** The state of the pool that a dataset is in. */
export async function poolState(pool: string): Promise<Result<PoolState, StoreError>> {
  const printed = await runCommand('zpool', ['list', '-Hp', '-o', 'health,size,allocated,free', pool]);
  return printed.isErr() ? err(printed.error) : parsePoolState(printed.value);
}

/** Exported for tests: what `zfs version` printed. */
export function parseVersion(printed: string): Result<ZfsVersion, StoreError> {
  const text = printed.split('\n')[0] ?? '';
  const [, major, minor] = /^zfs-(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined || minor === undefined) return unexpected('zfs version', printed);
  return ok({ major: Number(major), minor: Number(minor), text });
}

/** Exported for tests: what `zpool list -Hp` printed for one pool. */
export function parsePoolState(printed: string): Result<PoolState, StoreError> {
  const [health, ...sizes] = printed.trimEnd().split('\t');
  const [size, allocated, free] = sizes.map((text) => (/^\d+$/.test(text) ? Number(text) : undefined));
  if (health === undefined || size === undefined || allocated === undefined || free === undefined) {
    return unexpected('zpool list', printed);
  }
  return ok({ health, size, allocated, free });
}

function unexpected(command: string, printed: string): Result<never, StoreError> {
  return err({
    type: 'failed',
    message: `"${command}" printed what we do not understand: ${JSON.stringify(printed)}`,
  });
}
