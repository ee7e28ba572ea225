import { err, failed, ok, type Result, type StoreError } from '@snapstep/core/backend';
import { isDatasetName } from './dataset-name.ts';
import { type PoolState, poolState, version, type ZfsVersion } from './pool.ts';

/** The oldest OpenZFS whose behaviour we rely on. */
const OLDEST = { major: 2, minor: 1 };
/** ZFS slows down badly when little is free. */
const FULLEST = 0.8;

/** What was found out about the ZFS that a dataset is in. */
export interface ZfsInspection {
  readonly version: ZfsVersion;
  readonly pool: PoolState;
  /** Sentences for people; empty if all is well. */
  readonly warnings: readonly string[];
}

/**
 * Looks whether snapshots could be kept in a dataset: the tools, their version, the health and the fill of the pool.
 * It changes nothing.
 *
 * @param dataset - `pool` or `pool/path`.
 */
export async function inspectZfs(dataset: string): Promise<Result<ZfsInspection, StoreError>> {
  if (!isDatasetName(dataset)) return err(failed(`"${dataset}" is not the name of a dataset`));
  const tools = await version();
  if (tools.isErr()) return err(tools.error);
  const pool = await poolState(dataset.split('/')[0] ?? dataset);
  if (pool.isErr()) return err(pool.error);
  return ok({ version: tools.value, pool: pool.value, warnings: warningsOf(tools.value, pool.value) });
}

/** Refuses tools that lack what the store uses. */
export function checkVersion(tools: ZfsVersion): Result<ZfsVersion, StoreError> {
  if (!isOld(tools)) return ok(tools);
  return err(failed(`OpenZFS ${tools.text} is older than ${OLDEST.major}.${OLDEST.minor}: update it`));
}

/** Exported for tests. */
export function warningsOf(tools: ZfsVersion, pool: PoolState): string[] {
  const fill = pool.size === 0 ? 1 : pool.allocated / pool.size;
  return [
    ...(isOld(tools)
      ? [`OpenZFS ${tools.text} is older than ${OLDEST.major}.${OLDEST.minor}: update it`]
      : []),
    ...(mayDamage(tools)
      ? [`OpenZFS ${tools.text} may copy holes instead of data, if its packager has not mended it: update it`]
      : []),
    ...(pool.health === 'ONLINE' ? [] : [`the pool is ${pool.health}: see "zpool status"`]),
    ...(fill > FULLEST
      ? [`the pool is ${Math.round(fill * 100)} % full: ZFS slows down above ${FULLEST * 100} %`]
      : []),
  ];
}

function isOld({ major, minor }: ZfsVersion): boolean {
  return major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor);
}

/**
 * Versions in which a file that is copied right after it was written may come out with zeros (Z7): 2.1.4 to 2.1.13,
 * 2.2.0 and 2.2.1 (https://github.com/openzfs/zfs/issues/15526). Distributions have mended some without a new number.
 */
function mayDamage({ text }: ZfsVersion): boolean {
  const [, release = '', patch = ''] = /^zfs-(2\.[12])\.(\d+)(?:\D|$)/.exec(text) ?? [];
  if (patch === '') return false;
  return release === '2.1' ? Number(patch) >= 4 && Number(patch) <= 13 : Number(patch) <= 1;
}
