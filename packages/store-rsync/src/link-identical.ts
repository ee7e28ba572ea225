import { err, type Result, type StoreError } from '@snapstep/core/backend';
import { hardLinks } from './find.ts';
import { rsyncLinked } from './rsync.ts';

/**
 * Copies a tree so that what is identical in `like` is shared with it.
 *
 * @returns False if the copy must not be used: two files that were apart came out as one, because `like`
 * has them as one. Then a step that writes to the first would change the second.
 */
export async function linkedCopy(trees: {
  readonly from: string;
  readonly to: string;
  readonly like: string;
}): Promise<Result<boolean, StoreError>> {
  const copied = await rsyncLinked(trees.from, trees.to, { like: trees.like });
  if (copied.isErr()) return err(copied.error);
  const before = await hardLinks(trees.from);
  if (before.isErr()) return err(before.error);
  const after = await hardLinks(trees.to);
  return after.map((entries) => sameGroups(groups(entries), groups(before.value)));
}

interface Entry {
  readonly inode: string;
  readonly path: string;
}

/** Each set of paths that are one file, as one text. */
function groups(entries: readonly Entry[]): Set<string> {
  const byInode = Map.groupBy(entries, (entry) => entry.inode);
  const names = [...byInode.values()].filter((group) => group.length > 1);
  return new Set(
    names.map((group) =>
      group
        .map((entry) => entry.path)
        .sort()
        .join('\0'),
    ),
  );
}

function sameGroups(one: Set<string>, other: Set<string>): boolean {
  return one.size === other.size && [...one].every((group) => other.has(group));
}
