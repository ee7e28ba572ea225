import { readFile } from 'node:fs/promises';
import { err, ok, type Result } from 'neverthrow';
import { runCommand } from './command.ts';
import type { StoreError } from './failures.ts';
import { isAtOrBelow, parseMountTable } from './mount-table.ts';
import { attemptExisting, commandFailure } from './store-failure.ts';

/**
 * The mount points at or below a directory, the deepest first. Deleting through one, such as a leaked bind
 * mount, would delete somebody else's files.
 */
export async function mountPointsBelow(path: string): Promise<Result<readonly string[], StoreError>> {
  const table = await attemptExisting(readFile('/proc/self/mountinfo', 'utf8'));
  return table.map((text) =>
    parseMountPoints(text ?? '')
      .filter((point) => isAtOrBelow(point, path))
      .reverse(),
  );
}

/**
 * Takes away what is mounted below a directory, also where it is in use. What somebody else takes away at the same
 * time, such as a child process of a killed owner, is gone as well.
 */
export async function detachBelow(path: string): Promise<Result<void, StoreError>> {
  const points = await mountPointsBelow(path);
  if (points.isErr()) return err(points.error);
  for (const point of points.value) {
    const detached = await runCommand('umount', ['--lazy', '--no-mtab', point]);
    if (detached.isOk()) continue;
    const left = await mountPointsBelow(point);
    if (left.isErr()) return err(left.error);
    if (left.value.includes(point)) return err(commandFailure(detached.error));
  }
  return ok();
}

/** The mount points that `/proc/self/mountinfo` tells, in its order. */
export function parseMountPoints(mountinfo: string): string[] {
  return parseMountTable(mountinfo).map(({ point }) => point);
}
