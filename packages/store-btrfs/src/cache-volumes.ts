import {
  DirectoryCaches,
  err,
  makeOpen,
  type Owner,
  type Result,
  type StoreError,
} from '@snapstep/core/backend';
import { createSubvolume, generationsOf, setWritable, snapshot, syncFileSystem } from './btrfs.ts';
import type { Layout } from './layout.ts';

/** Each cache is a writable subvolume that nobody writes to; a copy is a snapshot of it in the session. */
export function subvolumeCaches({ cacheDirectory, workspace }: Layout): DirectoryCaches {
  return new DirectoryCaches({
    directory: cacheDirectory,
    workspace,
    makeEmpty: createEmpty,
    copy: (from, to) => snapshot(from, to),
    changed,
    // Root in a step can set the subvolume read-only that is its cache; such a one stays in its directory.
    unprotect: setWritable,
  });
}

async function createEmpty(subvolume: string, owner: Owner): Promise<Result<void, StoreError>> {
  const made = await createSubvolume(subvolume);
  return made.isErr() ? made : makeOpen(subvolume, owner);
}

/**
 * Making a snapshot ends a transaction, so whatever is written later belongs to a higher generation than
 * the one the snapshot was made in. An empty subvolume is made within a transaction: it says nothing.
 */
async function changed(subvolume: string): Promise<Result<boolean, StoreError>> {
  const written = await syncFileSystem(subvolume);
  if (written.isErr()) return err(written.error);
  return (await generationsOf(subvolume)).map(({ created, current }) => created !== current);
}
