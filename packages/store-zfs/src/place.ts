import type { Commands } from './commands.ts';
import type { Layout } from './layout.ts';
import type { Mounts } from './mounts.ts';
import type { Trash } from './trash.ts';
import type { Zfs } from './zfs.ts';

/** What every part of one open store works with. */
export interface Place {
  readonly commands: Commands;
  readonly layout: Layout;
  readonly zfs: Zfs;
  readonly mounts: Mounts;
  readonly trash: Trash;
}
