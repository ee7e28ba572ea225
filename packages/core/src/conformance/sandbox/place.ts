import type { Owner } from '../../backend/names.ts';
import type { Account, Sandbox } from '../../backend/sandbox.ts';
import type { StoreFeature, StoreFeatures } from '../../backend/store.ts';
import type { Volume, Volumes } from '../../backend/volume.ts';

/** A sandbox under test, in a place of its own. Disposing it takes both away. */
export interface SandboxPlace extends AsyncDisposable {
  readonly sandbox: Sandbox<StoreFeature>;
  /** What the sandbox `requires` of a store. */
  readonly features?: Partial<StoreFeatures>;
  /**
   * Volumes of the sandbox's layout that nothing else has used, with a POSIX shell and the POSIX utilities; `setsid`
   * is used where they have it. They go with the place.
   */
  volumes(): Promise<Volumes>;
  /** An empty volume that belongs to `owner`, as a cache is. It goes with the place. */
  cache(owner: Owner): Promise<Volume>;
  /** What is there on the host of commands that have ended: mounts, control groups, files. Looked at after each test. */
  leftovers?(): Promise<readonly string[]>;
  /** How the place is used after the death of its owner. Absent where a sandbox keeps nothing on the host. */
  readonly restart?: {
    /** A process that opens the sandbox here and gives it to `occupy`: a program and its arguments. */
    readonly command: readonly [string, ...string[]];
    /** Opens the same place again, once the suite has disposed the sandbox opened before, or its owner was killed. */
    open(): Promise<Sandbox<StoreFeature>>;
  };
}

/** Somebody whom the volumes know. */
export interface SandboxAccount extends Account {
  readonly name: string;
  /** Every group beside `gid`. Default: none. */
  readonly groups?: readonly number[];
}

/** What commands of the suite are made of. */
export interface SandboxWorld {
  /** Commands run as the first of them where a test does not say otherwise. */
  readonly accounts: readonly [SandboxAccount, ...SandboxAccount[]];
  /** What comes before a script. Default: `/bin/sh -c`. */
  readonly shell?: readonly [string, ...string[]];
  /** Where the utilities are. Default: that of the sandbox. */
  readonly path?: string;
  /** A directory of the step's world that does not exist, below which anything may be made. Default: `/suite`. */
  readonly directory?: string;
  /** Another place in the volumes that does not exist, outside of `directory`. Default: `/etc/suite`. */
  readonly elsewhere?: string;
  /**
   * Whom a working directory belongs to that was made. Default: root. Name one where all commands run as one user,
   * who could not use it otherwise.
   */
  readonly cwdOwner?: Owner;
  /**
   * How a script writes the place of a secret. Default: its target. Give it where nothing can be mounted for one
   * command alone, and a variable leads to the secrets.
   */
  readonly secretPlace?: (target: string) => string;
  /** The host does not see the processes of commands, as with a virtual machine. Default: it does. */
  readonly hidesProcesses?: boolean;
  /** How long the suite waits for what this machine does in a few seconds, in milliseconds. Default: 30,000. */
  readonly patience?: number;
}
