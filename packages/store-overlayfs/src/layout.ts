import { join, relative } from 'node:path';
import {
  type HostPath,
  makePrivateDirectory,
  type Result,
  removeTree,
  type StoreError,
  Workspace,
} from '@snapstep/core/backend';

/** Where things lie in the store's directory. All of it is one file system, so that a rename publishes. */
export class Layout {
  /** One directory for each layer. Names are short: up to 500 of them go into one mount option. */
  readonly layers: string;
  readonly snapshots: string;
  readonly caches: string;
  /** Everything that is mounted is mounted in it. */
  readonly workspace: Workspace;

  constructor(path: HostPath) {
    this.layers = join(path, 'layers');
    this.snapshots = join(path, 'snapshots');
    this.caches = join(path, 'caches');
    this.workspace = new Workspace({
      path: join(path, 'temporary'),
      remove: (gone, options) => removeTree(gone, { ...options, oneFileSystem: true }),
    });
  }

  /** How a mount that starts in {@link layers} names a path of the store. */
  fromLayers(path: string): string {
    return relative(this.layers, path);
  }

  /** Makes what is missing, unmounts and deletes what earlier processes left behind. */
  async start(): Promise<Result<void, StoreError>> {
    for (const directory of [this.layers, this.snapshots, this.caches]) {
      const made = await makePrivateDirectory(directory);
      if (made.isErr()) return made;
    }
    return this.workspace.open();
  }
}
