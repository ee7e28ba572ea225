import { lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import { directoryVolume, volumesIn } from './directory-volume.ts';
import { makeEmptyVolumes } from './empty-directory.ts';
import { failed, type StoreError } from './failures.ts';
import { HomeDisk } from './home-disk.ts';
import { isStepKey, type StepKey } from './names.ts';
import type { ActiveSnapshot, PrepareRequest, Snapshot } from './store.ts';
import { attempt, attemptExisting } from './store-failure.ts';
import type { Volumes } from './volume.ts';
import { makePrivateDirectory } from './workspace.ts';

const debug: createDebug.Debugger = createDebug('snapstep:snapshots');

/** A snapshot in the making: a directory with one directory for each volume. */
export interface SnapshotDraft {
  readonly key: StepKey;
  /** On the file system of the saved ones, at a path that no other attempt has or had. */
  readonly path: string;
  /** Deletes what is at a path. Called for `path` unless it was saved. */
  readonly discard: (path: string) => Promise<Result<void, StoreError>>;
  /** Called once by `commit`: what is to be published, which is `path` or stands for it. */
  readonly finish?: (path: string) => Promise<Result<string, StoreError>>;
}

/** How a store makes and copies the directory of a snapshot. What a failure leaves is the caller's to discard. */
export interface FillDraft {
  /** Makes the directory that gets the volumes. Default: `mkdir`. */
  readonly make?: (path: string) => Promise<Result<void, StoreError>>;
  readonly copy: (from: string, to: string) => Promise<Result<void, StoreError>>;
}

/** Saved snapshots: in one directory, each under its key. One rename publishes them, so they are there whole or not. */
export class SnapshotDirectory {
  readonly path: string;
  readonly #home: HomeDisk;

  /**
   * @param path - Of the store's own, in its directory: see `makePrivateDirectory`. Names that are no keys are not
   * looked at.
   */
  constructor(path: string) {
    this.path = path;
    this.#home = new HomeDisk(dirname(path));
  }

  pathOf(key: StepKey): string {
    return join(this.path, key);
  }

  async lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    const isThere = await this.#has(key);
    if (isThere.isErr()) return err(isThere.error);
    if (!isThere.value) return ok(undefined);
    const volumes = await volumesIn(this.pathOf(key));
    // Each has one at least: somebody took it away.
    return volumes.map((found) => (found.size === 0 ? undefined : { key, volumes: found }));
  }

  /** Fills the path of a draft with what a step starts from; base images are not there. */
  async fill(
    path: string,
    from: PrepareRequest['from'],
    { make = (at) => attempt(mkdir(at)), copy }: FillDraft,
  ): Promise<Result<void, StoreError>> {
    if ('baseImage' in from) return err(failed('this store holds no base images of its own'));
    if ('empty' in from) {
      const made = await make(path);
      return made.isErr() ? made : makeEmptyVolumes(path, from.empty);
    }
    const key = from.snapshot;
    const found = await this.lookup(key);
    if (found.isErr()) return err(found.error);
    if (found.value !== undefined) return copy(this.pathOf(key), path);
    return err({ type: 'not-found', key, message: `there is no snapshot ${key}` });
  }

  async list(): Promise<Result<readonly StepKey[], StoreError>> {
    const entries = await this.#existing(readdir(this.path, { withFileTypes: true }));
    return entries.map((found = []) =>
      found
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
        .filter(isStepKey),
    );
  }

  /** Only a directory is a snapshot, whoever made something else in its place. */
  async #has(key: StepKey): Promise<Result<boolean, StoreError>> {
    const stats = await this.#existing(lstat(this.pathOf(key)));
    return stats.map((found) => found?.isDirectory() ?? false);
  }

  /** What is missing with its disk may come back with it. */
  async #existing<T>(call: Promise<T>): Promise<Result<T | undefined, StoreError>> {
    const found = await attemptExisting(call);
    const isLost = found.isOk() && found.value === undefined && !this.#home.isThere;
    return isLost ? err(failed(`the disk of ${this.path} is not mounted any more`)) : found;
  }

  /** Makes the directory again if somebody took it away, but for its disk. */
  async haveDirectory(): Promise<Result<void, StoreError>> {
    return (await isThere(this.path)) || !this.#home.isThere ? ok() : makePrivateDirectory(this.path);
  }

  /** What `prepare` gives back of a draft that is filled. After a failure the draft is the caller's to discard. */
  async activate(draft: SnapshotDraft): Promise<Result<ActiveSnapshot, StoreError>> {
    const volumes = await volumesIn(draft.path);
    return volumes.map((found) => new DirectoryActive(draft, { volumes: found, saved: this }));
  }
}

class DirectoryActive implements ActiveSnapshot {
  readonly volumes: Volumes;
  readonly #draft: SnapshotDraft;
  readonly #saved: SnapshotDirectory;
  #hasEnded = false;

  constructor(
    draft: SnapshotDraft,
    { volumes, saved }: { readonly volumes: Volumes; readonly saved: SnapshotDirectory },
  ) {
    this.#draft = draft;
    this.#saved = saved;
    this.volumes = volumes;
  }

  async commit(): Promise<Result<Snapshot, StoreError>> {
    const { key } = this.#draft;
    if (this.#hasEnded) throw new Error(`the active snapshot of ${key} has already ended`);
    this.#hasEnded = true;
    const published = await this.#publish();
    if (published.isErr() || published.value !== this.#draft.path) await this.#drop();
    if (published.isErr()) return err(published.error);
    const path = this.#saved.pathOf(key);
    const volumes = [...this.volumes.keys()].map(
      (name) => [name, directoryVolume(name, join(path, name))] as const,
    );
    return ok({ key, volumes: new Map(volumes) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.#drop();
  }

  /** @returns The path that was published. */
  async #publish(): Promise<Result<string, StoreError>> {
    const { key, path, finish, discard } = this.#draft;
    const finished = finish ? await finish(path) : ok(path);
    if (finished.isErr()) return finished;
    const target = this.#saved.pathOf(key);
    const made = await this.#saved.haveDirectory();
    if (made.isErr()) return err(made.error);
    const published = await attempt(rename(finished.value, target));
    if (published.isOk() || !(await isThere(target))) return published.map(() => finished.value);
    // Nothing is saved under this key, so it is somebody else's that has the name.
    const cleared = await discard(target);
    if (cleared.isErr()) return err(cleared.error);
    return (await attempt(rename(finished.value, target))).map(() => finished.value);
  }

  async #drop(): Promise<void> {
    const dropped = await this.#draft.discard(this.#draft.path);
    if (dropped.isErr()) debug('left for the next open: %o', dropped.error);
  }
}

async function isThere(path: string): Promise<boolean> {
  const stats = await attemptExisting(lstat(path));
  return stats.isOk() && stats.value !== undefined;
}
