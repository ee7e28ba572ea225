import type { Scene } from './scene.ts';

/** Where the datasets of the store, and the pool itself, are mounted now. */
export async function poolMountPoints({ store, ask }: Scene): Promise<string[]> {
  if (store.kind !== 'zfs') return [];
  const [pool = ''] = store.dataset.split('/');
  const answer = await ask('zfs', [
    'list',
    '-Hp',
    '-o',
    'mounted,mountpoint',
    '-r',
    '-t',
    'filesystem',
    pool,
  ]);
  const rows = (answer?.stdout ?? '').split('\n').map((row) => row.split('\t'));
  const mounted = rows.flatMap(([state, point = '']) =>
    state === 'yes' && point.startsWith('/') ? [point] : [],
  );
  return [...new Set(mounted)];
}
