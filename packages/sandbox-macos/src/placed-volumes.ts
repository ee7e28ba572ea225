import { chmod, lstat, mkdir } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type CacheMount,
  err,
  failed,
  isDiskFull,
  type Mounted,
  type Owner,
  ok,
  type Result,
  resolveInside,
  type SandboxError,
  type StoreError,
  type StoreFeatures,
  toHostPath,
  type Volume,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { isBelow, resolveStepPath } from './step-path.ts';
import { Stub } from './stubs.ts';

const debug = createDebug('snapstep:sandbox');

/** How long the store may take to unmount one volume, by force if it must. */
const UNMOUNT_MS = 60_000;

interface Placed {
  readonly path: string;
  readonly stub: Stub;
  readonly mounted: Mounted;
}

/** The volumes and caches of one step, mounted in their places. */
export class PlacedVolumes {
  readonly #placement: StoreFeatures['placement'];
  readonly #owner: Owner;
  readonly #placed: Placed[] = [];
  /** The volumes of the step, and the modes of those that nobody else can enter now. */
  readonly #roots = new Map<string, number | undefined>();

  constructor(placement: StoreFeatures['placement'], owner: Owner) {
    this.#placement = placement;
    this.#owner = owner;
  }

  /** What a full disk has said to {@link remove}: something of a mount point was left. */
  shortage: Error | undefined;

  /** Where something is mounted, in the order in which it was. */
  get paths(): readonly string[] {
    return this.#placed.map(({ path }) => path);
  }

  /**
   * Mounts a volume of the step at a place of the Mac. Until {@link open} no other user can enter it: one who could, and may
   * write there, would put a link in the place of a directory that we make something in.
   */
  async placeRoot(volume: Volume, path: string): Promise<Result<void, SandboxError>> {
    await mkdir(path, { recursive: true });
    const inside = await resolveInside('/', path, { followLast: true });
    if (inside.isErr()) return err(inside.error);
    if (inside.value.existing !== path) return err(failed(`${path} is a link to ${inside.value.existing}`));
    if (await isMountPoint(path)) return err(failed(`something is mounted at ${path} already`));
    const placed = await this.#place({ volume, path }, await Stub.make(inside.value, this.#owner));
    if (placed.isErr()) return placed;
    await this.#close(path);
    return ok();
  }

  /** Lets others enter what lets them, while the command runs. */
  async open(): Promise<void> {
    for (const path of this.#roots.keys()) await this.#open(path);
  }

  /** Mounts caches, which may lie in each other, below what was placed. */
  async placeCaches(caches: readonly CacheMount[]): Promise<Result<void, SandboxError>> {
    const sorted = caches
      .map((cache) => ({ ...cache, target: posix.normalize(cache.target) }))
      .sort((a, b) => (a.target < b.target ? -1 : 1));
    const roots = this.paths;
    for (const { volume, target, readOnly = false } of sorted) {
      const found = await resolveStepPath(target, { roots, use: 'mount point' });
      if (found.isErr()) return err(found.error);
      const { path } = found.value;
      const hidden = this.#placed.find((other) => other.path === path || isBelow(other.path, path));
      if (hidden) return err(failed(`a cache at ${target} would hide what is mounted at ${hidden.path}`));
      if (!(await lstat(found.value.existing)).isDirectory()) return err(failed(`${target} is a file`));
      const placed = await this.#place({ volume, path, readOnly }, await Stub.make(found.value, this.#owner));
      if (placed.isErr()) return err(placed.error);
    }
    return ok();
  }

  /**
   * Unmounts everything, the last first, and takes away what was made to mount on.
   *
   * @returns Where something stays mounted.
   */
  async remove(): Promise<readonly string[]> {
    // Nobody shall move what is mounted in there while it is looked for.
    await Promise.all([...this.#roots.keys()].map((path) => bounded(this.#close(path).catch(traced))));
    for (;;) {
      const placed = this.#placed.at(-1);
      if (placed === undefined) return [];
      await bounded(this.#open(placed.path).catch(traced));
      const wasInPlace = (await bounded(placed.stub.isCovered())) ?? true;
      await bounded(placed.mounted[Symbol.asyncDispose]());
      // A volume whose unmounting hangs may keep whoever looks at it as well.
      const isCovered = (await bounded(placed.stub.isCovered())) ?? true;
      if (isCovered) return this.paths;
      this.#placed.pop();
      const removed = placed.stub.remove({ root: this.#rootOf(placed.path), wasInPlace });
      // Whatever the command has done to what is around it, the others are unmounted.
      await removed.catch((error: unknown) => {
        if (error instanceof Error && isDiskFull(error)) this.shortage ??= error;
        traced(error);
      });
    }
  }

  async #close(path: string): Promise<void> {
    if (this.#roots.get(path) !== undefined) return;
    this.#roots.set(path, (await lstat(path)).mode & 0o7777);
    await chmod(path, 0o700);
  }

  async #open(path: string): Promise<void> {
    const mode = this.#roots.get(path);
    if (mode === undefined) return;
    this.#roots.set(path, undefined);
    await chmod(path, mode);
  }

  /** The tree that a place is in: the one mounted last above it. */
  #rootOf(path: string): string {
    return this.paths.findLast((other) => isBelow(path, other)) ?? path;
  }

  async #place(
    {
      volume,
      path,
      readOnly = false,
    }: { readonly volume: Volume; readonly path: string; readonly readOnly?: boolean },
    stub: Stub,
  ): Promise<Result<void, SandboxError>> {
    const mounted = await this.#placement.mountAt(volume, toHostPath(path), { readOnly });
    if (mounted.isErr()) {
      await stub.remove({ root: this.#rootOf(path), wasInPlace: true });
      return err(cannotMount(path, mounted.error));
    }
    this.#placed.push({ path, stub, mounted: mounted.value });
    await stub.cover();
    return ok();
  }
}

function traced(error: unknown): void {
  debug('%s', error);
}

/** Where a Mac keeps all that is not the system's own. Firmlinks lead there, which look like plain directories. */
const DATA = '/System/Volumes/Data';

/** `/usr/local` is such a link: it is on another file system than `/usr`, and nothing is mounted there. */
async function isMountPoint(path: string): Promise<boolean> {
  const [here, above] = await Promise.all([lstat(path), lstat(dirname(path))]);
  if (here.dev === above.dev) return false;
  const data = await lstat(DATA).catch(() => undefined);
  return here.dev !== data?.dev;
}

/** What a promise gives within the bound. */
async function bounded<T>(promise: PromiseLike<T>): Promise<T | undefined> {
  const timer = new AbortController();
  const end = delay(UNMOUNT_MS, undefined, { signal: timer.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, end]);
  } finally {
    timer.abort();
  }
}

function cannotMount(path: string, error: StoreError): SandboxError {
  if (error.type === 'stuck' || error.type === 'cancelled' || error.type === 'no-space') return error;
  return failed(`cannot mount a volume at ${path}: ${error.message}`, error);
}
