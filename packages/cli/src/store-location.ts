import { join, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { xdgState } from 'xdg-basedir';

/** Which store, and where on the host Snapstep keeps what belongs to it. */
export type StoreLocation =
  | { readonly kind: 'rsync' | 'btrfs' | 'overlayfs'; readonly path: string }
  | { readonly kind: 'zfs'; readonly dataset: string };

/**
 * `rsync:/path`, `btrfs:/path`, `overlayfs:/path` or `zfs:pool/dataset`.
 *
 * @throws InvalidArgumentError, as commander expects of a parser of options.
 */
export function parseStore(text: string): StoreLocation {
  const [, kind, place = ''] = /^(rsync|btrfs|overlayfs|zfs):(.+)$/s.exec(text) ?? [];
  if (kind === undefined) {
    throw new InvalidArgumentError(
      'It should be rsync:PATH, btrfs:PATH, overlayfs:PATH or zfs:POOL/DATASET.',
    );
  }
  return kind === 'zfs'
    ? { kind, dataset: place.replace(/\/+$/, '') }
    : { kind: kind as 'rsync' | 'btrfs' | 'overlayfs', path: resolve(place) };
}

/** Where the store is if nobody says: below `$XDG_STATE_HOME`, or `~/.local/state`. */
export function defaultStore(): StoreLocation {
  return { kind: 'rsync', path: stateDirectory('store') };
}

export interface StateDirectories {
  /** The index, the logs and the records. */
  readonly builder: string;
  /** The containers that run now. */
  readonly sandbox: string;
  /** Which files and references have which digest. */
  readonly fetcher: string;
}

/** Where the other parts keep their state: in the directory of the store, or below the XDG state directory. */
export function stateDirectories(store: StoreLocation): StateDirectories {
  const base = store.kind === 'zfs' ? stateDirectory(join('zfs', store.dataset)) : store.path;
  return { builder: join(base, 'builder'), sandbox: join(base, 'sandbox'), fetcher: join(base, 'fetcher') };
}

function stateDirectory(name: string): string {
  return join(xdgState ?? '/var/lib', 'snapstep', name);
}
