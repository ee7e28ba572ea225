import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';

/** Reads two lines of `btrfs subvolume show`. */
export function parseGenerations(
  text: string,
): Result<{ readonly created: number; readonly current: number }, Failed> {
  const created = /^\s*Gen at creation:\s*(\d+)\s*$/m.exec(text)?.[1];
  const current = /^\s*Generation:\s*(\d+)\s*$/m.exec(text)?.[1];
  if (created !== undefined && current !== undefined) {
    return ok({ created: Number(created), current: Number(current) });
  }
  return err(failed(`"btrfs subvolume show" does not tell the generations: ${text.slice(0, 200)}`));
}
