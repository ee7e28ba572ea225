import type { Scene } from './scene.ts';

/** The option that names the store that was looked at, for a command that mends something. */
export function storeOption({ store }: Scene): string {
  return `--store ${store.kind}:${store.kind === 'zfs' ? store.dataset : store.path}`;
}
