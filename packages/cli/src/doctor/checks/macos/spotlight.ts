import { type Check, fine, warning } from '../../check.ts';
import { poolMountPoints } from '../../pool-mount-points.ts';
import { onMac } from './on-mac.ts';

/** Spotlight opens every file of what is mounted, and keeps volumes busy. */
export const spotlight: Check = onMac('spotlight', async (scene) => {
  const volumes = await poolMountPoints(scene);
  const indexed: string[] = [];
  for (const volume of volumes) {
    const answer = await scene.ask('mdutil', ['-s', volume]);
    if (isIndexed(answer?.stdout ?? '')) indexed.push(volume);
  }
  if (indexed.length === 0) return fine(`off for ${volumes.join(', ') || 'the pool, which is not mounted'}`);
  return warning(`Spotlight indexes ${indexed.join(', ')}`, `sudo mdutil -i off ${indexed.join(' ')}`);
});

/** `mdutil -s` prints `/Volumes/x:` and, below it, `Indexing enabled.` or `Indexing disabled.` Exported for tests. */
export function isIndexed(text: string): boolean {
  return /^\s*Indexing enabled/m.test(text);
}
