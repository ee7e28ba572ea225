import { err, type Failed, failed, ok, type Result, type UsageAxis } from '@snapstep/core/backend';

/**
 * Reads `btrfs filesystem usage -b`.
 *
 * Free bytes are what Btrfs itself estimates, which knows the profiles and what is not allocated yet.
 * Metadata can take all that is not allocated as well, and not the global reserve: when it is used up, the
 * file system is full, however many bytes are free.
 */
export function parseUsage(text: string): Result<readonly UsageAxis[], Failed> {
  const groups = blockGroups(text);
  const unallocated = overall(text, 'Device unallocated');
  const free = overall(text, 'Free (estimated)');
  const reserve = overall(text, 'Global reserve');
  const ratio = overall(text, 'Metadata ratio');
  const data = sum(groups.filter(({ type }) => type.startsWith('Data')));
  const known = [unallocated, free, reserve, ratio].every(Number.isFinite) && ratio >= 1;
  if (!known || data === undefined) {
    return err(failed(`"btrfs filesystem usage" cannot be understood: ${text.slice(0, 300)}`));
  }
  const bytes = { axis: 'bytes', used: data.used, total: data.used + free } as const;
  const metadata = sum(groups.filter(({ type }) => type === 'Metadata'));
  if (metadata === undefined) return ok([bytes]);
  const total = metadata.size + Math.floor(unallocated / ratio);
  return ok([bytes, { axis: 'metadata-bytes', used: Math.min(metadata.used + reserve, total), total }]);
}

interface BlockGroups {
  readonly type: string;
  readonly size: number;
  readonly used: number;
}

/** Lines such as `Metadata,DUP: Size:107347968, Used:163840 (0.15%)`; a type has one for each profile. */
function blockGroups(text: string): BlockGroups[] {
  const lines = text.matchAll(/^(Data|Metadata|Data\+Metadata|System),\w+: Size:(\d+), Used:(\d+) /gm);
  return Array.from(lines, ([, type, size, used]) => ({
    type: `${type}`,
    size: Number(size),
    used: Number(used),
  }));
}

function sum(groups: readonly BlockGroups[]): { readonly size: number; readonly used: number } | undefined {
  if (groups.length === 0) return undefined;
  return {
    size: groups.reduce((total, group) => total + group.size, 0),
    used: groups.reduce((total, group) => total + group.used, 0),
  };
}

/** NaN if there is no such line. */
function overall(text: string, name: string): number {
  const line = text.split('\n').find((candidate) => candidate.trim().startsWith(`${name}:`));
  return Number(/:\s*(\d+(?:\.\d+)?)(?:\s|$)/.exec(line ?? '')?.[1]);
}
