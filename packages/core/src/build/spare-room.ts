import type { DiskRoom, Supply } from '../backend/disk-room.ts';
import type { Usage } from '../backend/store.ts';

/**
 * How much must be left where a command writes for what it left behind to be trusted: programs do not always say that
 * they found no room. A disk with less is taken for full. Of each, the smaller number counts.
 */
export interface SpareRoom {
  /** Default: 32 MiB. 0: whatever is left is enough. */
  readonly bytes?: number;
  /** Default: 1000. */
  readonly inodes?: number;
  /** Of what the disk has of either. Default: 0.05. */
  readonly part?: number;
}

export type SpareRules = Required<SpareRoom>;

const MIB = 1024 * 1024;
const DEFAULT: SpareRules = { bytes: 32 * MIB, inodes: 1000, part: 0.05 };

/** Btrfs says that it is full while some of it is left: it is set aside for changes that are going on. */
const METADATA_BYTES = 8 * MIB;

/** @throws RangeError where a number makes no sense. */
export function spareRules(spare: SpareRoom = {}): SpareRules {
  const rules = { ...DEFAULT, ...spare };
  const isValid = rules.bytes >= 0 && rules.inodes >= 0 && rules.part >= 0 && rules.part < 1;
  if (!isValid) throw new RangeError(`spareRoom is ${JSON.stringify(spare)}: a number in it makes no sense`);
  return rules;
}

/** What is nearly used up on a disk, as a sentence; undefined where there is enough of everything. */
export function shortageOf({ bytes, inodes, metadata }: DiskRoom, rules: SpareRules): string | undefined {
  if (isShort(bytes, { spare: rules.bytes, part: rules.part })) return `${tell(bytes)} bytes are free`;
  if (inodes && isShort(inodes, { spare: rules.inodes, part: rules.part }))
    return `${tell(inodes)} inodes are free`;
  if (metadata && isMetadataShort(metadata, rules)) return `${tell(metadata)} bytes of metadata are free`;
  return undefined;
}

/** Whether a store says the same of itself, or has as many objects as it may have. */
export function isStoreShort(usage: Usage, rules: SpareRules): boolean {
  return usage.some(({ axis, used, total }) => {
    if (total === undefined) return false;
    const supply = { free: Math.max(0, total - used), total };
    if (axis === 'bytes') return isShort(supply, { spare: rules.bytes, part: rules.part });
    if (axis === 'inodes') return isShort(supply, { spare: rules.inodes, part: rules.part });
    if (axis === 'metadata-bytes') return isMetadataShort(supply, rules);
    return axis === 'objects' && supply.free === 0;
  });
}

function isMetadataShort(supply: Supply, { bytes, part }: SpareRules): boolean {
  return supply.free < Math.min(bytes, Math.max(METADATA_BYTES, supply.total * part));
}

function isShort(
  { free, total }: Supply,
  { spare, part }: { readonly spare: number; readonly part: number },
): boolean {
  return free < Math.min(spare, total * part);
}

function tell({ free, total }: Supply): string {
  return `only ${free} of ${total}`;
}
