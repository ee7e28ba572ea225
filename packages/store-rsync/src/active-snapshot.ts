import { rename } from 'node:fs/promises';
import {
  type ActiveSnapshot,
  attempt,
  err,
  ok,
  type Result,
  type Snapshot,
  type StepKey,
  type StoreError,
  type Volumes,
  volumesIn,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import type { Layout } from './layout.ts';
import { linkedCopy } from './link-identical.ts';

const debug = createDebug('snapstep:store-rsync');

interface ActiveParts {
  readonly layout: Layout;
  readonly key: StepKey;
  readonly directory: string;
  readonly volumes: Volumes;
  /** The saved snapshot whose identical files are to be shared. */
  readonly linkTo: StepKey | undefined;
}

/** A directory of the session, published by one rename. */
export class DirectoryActive implements ActiveSnapshot {
  readonly volumes: Volumes;
  readonly #parts: ActiveParts;
  #ended = false;

  constructor(parts: ActiveParts) {
    this.#parts = parts;
    this.volumes = parts.volumes;
  }

  async commit(): Promise<Result<Snapshot, StoreError>> {
    if (this.#ended) throw new Error(`the active snapshot of ${this.#parts.key} has already ended`);
    this.#ended = true;
    const saved = await this.#publish();
    if (saved.isErr()) await this.#drop();
    return saved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#drop();
  }

  async #publish(): Promise<Result<Snapshot, StoreError>> {
    const { layout, key } = this.#parts;
    const source = await this.#toPublish();
    if (source.isErr()) return err(source.error);
    const published = await attempt(rename(source.value, layout.snapshot(key)));
    if (published.isErr()) return err(published.error);
    if (source.value !== this.#parts.directory) await this.#drop();
    return (await volumesIn(layout.snapshot(key))).map((volumes) => ({ key, volumes }));
  }

  async #toPublish(): Promise<Result<string, StoreError>> {
    const { layout, key, directory, linkTo } = this.#parts;
    if (linkTo === undefined) return ok(directory);
    const linked = layout.attempt(key);
    const isSame = await linkedCopy({ from: directory, to: linked, like: layout.snapshot(linkTo) });
    if (isSame.isOk() && isSame.value) return ok(linked);
    await layout.discard(linked);
    return isSame.map(() => directory);
  }

  async #drop(): Promise<void> {
    const dropped = await this.#parts.layout.discard(this.#parts.directory);
    if (dropped.isErr()) debug('left for the next open: %o', dropped.error);
  }
}
