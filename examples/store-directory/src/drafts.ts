import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  attemptExisting,
  err,
  type Owner,
  ok,
  type Result,
  type StoreError,
} from '@snapstep/core/backend';
import { copyTree, makeDirectories, removeTree } from './trees.ts';

/** Directories in the making. Each attempt has a name of its own, so no attempt can spoil the next. */
export class Drafts {
  readonly #directory: string;
  #count = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  empty(names: readonly string[], owner?: Owner): Promise<Result<Draft, StoreError>> {
    return this.#fill((path) => makeDirectories(path, { names, ...(owner && { owner }) }));
  }

  copy(from: string, signal?: AbortSignal): Promise<Result<Draft, StoreError>> {
    return this.#fill((path) => copyTree(from, path, signal));
  }

  /** Takes what is published out of sight at once, then deletes it. */
  async discard(published: string): Promise<Result<void, StoreError>> {
    const path = this.#newPath();
    const hidden = await attemptExisting(rename(published, path));
    return hidden.isErr() ? hidden : removeTree(path);
  }

  async #fill(fill: (path: string) => Promise<Result<void, StoreError>>): Promise<Result<Draft, StoreError>> {
    const draft = new Draft(this.#newPath());
    const filled = await fill(draft.path);
    if (filled.isOk()) return ok(draft);
    await draft[Symbol.asyncDispose]();
    return err(filled.error);
  }

  #newPath(): string {
    this.#count += 1;
    return join(this.#directory, `${this.#count}`);
  }
}

export class Draft implements AsyncDisposable {
  readonly path: string;
  #ended = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Two renames, because a directory cannot take the place of one that is not empty. */
  async publish(target: string): Promise<Result<void, StoreError>> {
    if (this.#ended) throw new Error(`the draft of ${target} has ended`);
    const old = `${this.path}.old`;
    const moved = await attemptExisting(rename(target, old));
    if (moved.isErr()) return moved;
    const published = await attempt(rename(this.path, target));
    if (published.isErr()) await attemptExisting(rename(old, target));
    else this.#ended = true;
    await removeTree(old);
    return published;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    // What cannot be deleted now is wiped at the next open.
    await removeTree(this.path);
  }
}
