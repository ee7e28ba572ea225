import { err, ok, type Result } from 'neverthrow';
import { runCommand } from '../backend/command.ts';
import type { StoreError } from '../backend/failures.ts';
import { detachBelow } from '../backend/mount-points.ts';
import { commandFailure } from '../backend/store-failure.ts';

/** Mounts a directory at another, which must exist, so that nobody can write to it there. Needs root, and Linux. */
export async function bindReadOnly(path: string, target: string): Promise<Result<void, StoreError>> {
  const bound = await runCommand('mount', ['--no-mtab', '--bind', path, target]);
  if (bound.isErr()) return err(commandFailure(bound.error));
  const restricted = await runCommand('mount', ['--no-mtab', '--options', 'remount,bind,ro', target]);
  if (restricted.isOk()) return ok();
  await detachBelow(target);
  return err(commandFailure(restricted.error));
}
