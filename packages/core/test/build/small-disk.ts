import { randomBytes } from 'node:crypto';
import { mkdir, open, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk, tempDir, tmpfsVolume } from '@snapstep/test-support';
import {
  type Builder,
  type BuilderOptions,
  isDiskFull,
  openBuilder,
  type Store,
  toHostPath,
} from '../../src/index.ts';
import {
  MemoryDisk,
  openMemoryStore,
  type ScriptedCommand,
  type ScriptedSandbox,
  scriptedFetcher,
  scriptedSandbox,
} from '../../src/testing/index.ts';

const MIB = 1024 * 1024;

/** A real file system of a few megabytes, which others fill and empty. */
export class SmallDisk implements AsyncDisposable {
  readonly path: string;
  readonly #dispose: () => Promise<void>;

  private constructor(path: string, dispose: () => Promise<void>) {
    this.path = path;
    this.#dispose = dispose;
  }

  static async make(): Promise<SmallDisk> {
    const volume = await tmpfsVolume({ sizeMiB: 24, inodes: 2000 });
    return new SmallDisk(volume.path, async () => volume[Symbol.asyncDispose]());
  }

  /** Another program takes every byte but about so many: what tmpfs says of its free space lags behind its writers. */
  async fill(spareBytes = 0): Promise<void> {
    const { bavail, bsize } = await statfs(this.path);
    await using file = await open(this.#filler, 'a');
    const bytes = spareBytes === 0 ? Number.POSITIVE_INFINITY : bavail * bsize - spareBytes;
    try {
      for (let left = bytes; left > 0; left -= MIB) await file.writeFile(Buffer.alloc(Math.min(left, MIB)));
    } catch (error) {
      if (!(error instanceof Error && isDiskFull(error))) throw error;
    }
  }

  /** Another program takes every inode but a few. */
  async fillInodes(): Promise<void> {
    await mkdir(this.#filler);
    const { ffree } = await statfs(this.path);
    for (let i = 2; i < ffree; i += 1) await writeFile(join(this.#filler, `${i}`), '');
  }

  async empty(): Promise<void> {
    await rm(this.#filler, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose();
  }

  get #filler(): string {
    return join(this.path, 'filler');
  }
}

export interface SmallWorld extends AsyncDisposable {
  readonly builder: Builder;
  readonly sandbox: ScriptedSandbox;
  readonly store: Store;
}

export interface SmallWorldOptions extends Pick<BuilderOptions<never>, 'spareRoom'> {
  /** The disk of the builder's own directory. Default: a large one. */
  readonly stateDisk?: SmallDisk;
}

/** A builder over a memory store on a small disk. */
export async function openOn(
  disk: SmallDisk,
  script: Readonly<Record<string, ScriptedCommand>>,
  { stateDisk, ...options }: SmallWorldOptions = {},
): Promise<SmallWorld> {
  const dir = await tempDir();
  const at = join(disk.path, 'store');
  await mkdir(at);
  const store = expectOk(await openMemoryStore(new MemoryDisk(toHostPath(at))));
  const sandbox = scriptedSandbox(script);
  const stateDir = toHostPath(join(stateDisk?.path ?? dir.path, 'state'));
  const fetcher = scriptedFetcher({ base: { files: { origin: 'base' } } });
  const builder = expectOk(
    await openBuilder({ store, sandbox, fetcher, stateDir, concurrency: 8, ...options }),
  );
  return {
    builder,
    sandbox,
    store,
    [Symbol.asyncDispose]: async () => {
      for (const part of [builder, store, dir]) await part[Symbol.asyncDispose]();
    },
  };
}

/** A command that writes a file and does not look whether there is room for it. */
export function carelessly(
  name: string,
  first: (times: number) => Promise<unknown> = async () => {},
  bytes: number = MIB,
): ScriptedCommand {
  let times = 0;
  return async ({ root }) => {
    times += 1;
    await first(times);
    await writeFile(join(root, name), randomBytes(bytes)).catch(() => {});
    return 0;
  };
}
