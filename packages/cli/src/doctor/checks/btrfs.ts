import { type Check, fine, notApplicable, problem, warning } from '../check.ts';
import { existing } from '../existing.ts';

const GIBIBYTE = 2 ** 30;

/** Btrfs is full when its metadata is, however many bytes are free (https://github.com/ocurrent/ocluster/issues/92). */
export const btrfsMetadata: Check = {
  name: 'btrfs-metadata',
  async look({ store, ask }) {
    if (store.kind !== 'btrfs') return notApplicable(`the store is of the kind ${store.kind}`);
    const at = existing(store.path);
    const answer = await ask('btrfs', ['filesystem', 'usage', '-b', at]);
    if (answer?.exitCode !== 0) {
      return problem(
        `${at} is not on Btrfs: ${answer?.stderr.trim() ?? 'there is no btrfs program'}`,
        `mount a Btrfs at ${at}`,
      );
    }
    const fill = parseMetadata(answer.stdout);
    if (fill === undefined)
      return warning(
        'what "btrfs filesystem usage" says cannot be understood',
        `btrfs filesystem usage ${at}`,
      );
    const percent = Math.round((fill.used / fill.size) * 100);
    const left = `${(fill.unallocated / GIBIBYTE).toFixed(1)} GiB are not allocated`;
    // Two chunks: with less, a burst of snapshots can fill it before anybody looks again.
    if (fill.used / fill.size <= 0.8 || fill.unallocated >= 2 * GIBIBYTE)
      return fine(`${percent} % full; ${left}`);
    const mend = `snapstep prune --keep-free 20%; btrfs balance start -dusage=20 ${at}`;
    return problem(`${percent} % full, and only ${left}: the disk is nearly full, whatever df says`, mend);
  },
};

/** With qgroups, deleting snapshots scans extents in one transaction, and everything stands still meanwhile. */
export const btrfsQuota: Check = {
  name: 'btrfs-quota',
  async look({ store, ask }) {
    if (store.kind !== 'btrfs') return notApplicable(`the store is of the kind ${store.kind}`);
    const at = existing(store.path);
    const answer = await ask('btrfs', ['qgroup', 'show', at]);
    if (answer?.exitCode !== 0) return fine('quotas are off');
    return warning(
      'quotas are on: deleting snapshots stops the machine for minutes',
      `btrfs quota disable ${at}`,
    );
  },
};

/** Of `btrfs filesystem usage -b`, btrfs-progs 6.2: lines such as `Metadata,DUP: Size:53673984, Used:131072 (0.24%)`. */
function parseMetadata(
  text: string,
): { readonly size: number; readonly used: number; readonly unallocated: number } | undefined {
  const groups = [...text.matchAll(/^(?:Metadata|Data\+Metadata),\w+: Size:(\d+), Used:(\d+) /gm)];
  const unallocated = /Device unallocated:\s*(\d+)/.exec(text)?.[1];
  if (groups.length === 0 || unallocated === undefined) return undefined;
  const sum = (field: 1 | 2): number => groups.reduce((total, group) => total + Number(group[field]), 0);
  return { size: sum(1), used: sum(2), unallocated: Number(unallocated) };
}
