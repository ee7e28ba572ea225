import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Check, fine, warning } from '../../check.ts';
import { poolMountPoints } from '../../pool-mount-points.ts';
import { onMac } from './on-mac.ts';

/** fseventsd writes a log to each volume, and holds it open; an empty `no_log` tells it not to. */
export const fseventsd: Check = onMac('fseventsd', async (scene) => {
  const logged = withoutNoLog(await poolMountPoints(scene));
  if (logged.length === 0) return fine('no volume of the pool is logged');
  const [first = ''] = logged;
  const directory = join(first, '.fseventsd');
  return warning(
    `fseventsd logs ${logged.join(', ')}`,
    `sudo rm -rf ${directory}; sudo mkdir ${directory}; sudo touch ${join(directory, 'no_log')}`,
  );
});

/** Exported for tests. */
export function withoutNoLog(volumes: readonly string[]): string[] {
  return volumes.filter((volume) => !existsSync(join(volume, '.fseventsd', 'no_log')));
}
