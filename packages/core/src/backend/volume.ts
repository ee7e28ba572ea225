import type { Outcome, StoreError } from './failures.ts';
import type { HostPath, VolumeName } from './names.ts';

/** A file system that the store looks after. */
export interface Volume {
  readonly name: VolumeName;
  /**
   * Makes the volume reachable, at a place the store chooses.
   * Each call needs its own dispose; a volume may be mounted more than once.
   */
  mount(): Outcome<Mounted, StoreError>;
}

/** A mounted volume. Disposing it takes the path away: nothing stays mounted that nobody leases. */
export interface Mounted extends AsyncDisposable {
  readonly path: HostPath;
}

export type Volumes = ReadonlyMap<VolumeName, Volume>;
