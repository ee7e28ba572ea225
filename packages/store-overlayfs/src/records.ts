import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  err,
  ok,
  type Result,
  type StoreError,
  toVolumeName,
  type VolumeName,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { BOTTOM, type LayerIds, type Layers } from './layers.ts';
import type { Layout } from './layout.ts';

const debug = createDebug('snapstep:store-overlayfs');

/** The volumes of one snapshot. */
export type VolumeLayers = ReadonlyMap<VolumeName, LayerIds>;

interface RecordsParts<K> {
  readonly layout: Layout;
  readonly layers: Layers;
  readonly directory: string;
  readonly toFileName: (key: K) => string;
  readonly fromFileName: (name: string) => K | undefined;
}

/**
 * Which layers make up each snapshot, or each cache: one small file for each, kept in memory as well. A file is
 * there or not, old or new, because it is written elsewhere and renamed. A record holds its layers.
 */
export class Records<K extends string> {
  readonly #parts: RecordsParts<K>;
  readonly #known = new Map<K, VolumeLayers>();

  constructor(parts: RecordsParts<K>) {
    this.#parts = parts;
  }

  /** Forgets what is no record: what a failed disk left in pieces, what names a layer not found, what others put here. */
  async start(found: ReadonlySet<string>): Promise<Result<void, StoreError>> {
    const { directory, fromFileName, layout } = this.#parts;
    const entries = await attempt(readdir(directory, { withFileTypes: true }));
    if (entries.isErr()) return err(entries.error);
    for (const entry of entries.value) {
      const path = join(directory, entry.name);
      const text = entry.isFile() ? await readWhole(path) : ok(undefined);
      if (text.isErr()) return err(text.error);
      const key = fromFileName(entry.name);
      const volumes = text.value === undefined ? undefined : parseRecord(text.value, found);
      if (key !== undefined && volumes !== undefined) {
        this.#remember(key, volumes);
        continue;
      }
      debug('forgetting %s, which is damaged', path);
      const removed = await layout.workspace.discard(path);
      if (removed.isErr()) debug('%s stays: %o', path, removed.error);
    }
    return ok();
  }

  /** Undefined also where somebody took layers of it away: it can be made again. */
  get(key: K): VolumeLayers | undefined {
    const volumes = this.#known.get(key);
    return [...(volumes?.values() ?? [])].every((ids) => this.#parts.layers.areThere(ids))
      ? volumes
      : undefined;
  }

  keys(): readonly K[] {
    return [...this.#known.keys()];
  }

  /** Replaces the record of `key`, if there is one. The layers stay the caller's to release. */
  async save(key: K, volumes: VolumeLayers): Promise<Result<void, StoreError>> {
    const { layout } = this.#parts;
    const draft = layout.workspace.fresh();
    const written = await attempt(writeFile(draft, JSON.stringify(Object.fromEntries(volumes))));
    if (written.isErr()) return written;
    const renamed = await this.#publish(draft, key);
    if (renamed.isErr()) return renamed;
    const before = this.#known.get(key);
    this.#remember(key, volumes);
    const released = await this.#release(before);
    if (released.isErr()) debug('layers are left for the next open: %o', released.error);
    return ok();
  }

  async remove(key: K, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const before = this.#known.get(key);
    if (before === undefined) return ok();
    const removed = await this.#unpublish(key);
    if (removed.isErr()) return removed;
    this.#known.delete(key);
    return this.#release(before, signal);
  }

  /** Whatever may have come to be in its place, a directory too. */
  async #publish(draft: string, key: K): Promise<Result<void, StoreError>> {
    const renamed = await attempt(rename(draft, this.#path(key)));
    if (renamed.isOk()) return renamed;
    const cleared = await this.#unpublish(key);
    return cleared.isErr() ? renamed : attempt(rename(draft, this.#path(key)));
  }

  async #unpublish(key: K): Promise<Result<void, StoreError>> {
    const removed = await attempt(rm(this.#path(key), { force: true }));
    return removed.isOk() ? removed : this.#parts.layout.workspace.discard(this.#path(key));
  }

  #path(key: K): string {
    return join(this.#parts.directory, this.#parts.toFileName(key));
  }

  #remember(key: K, volumes: VolumeLayers): void {
    this.#known.set(key, volumes);
    this.#parts.layers.hold([...volumes.values()].flat());
  }

  async #release(volumes: VolumeLayers | undefined, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return this.#parts.layers.release([...(volumes?.values() ?? [])].flat(), signal);
  }
}

/** Undefined where the disk has lost it. Any other failure says nothing about the file. */
async function readWhole(path: string): Promise<Result<string | undefined, StoreError>> {
  return attempt(
    readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EIO') return undefined;
      throw error;
    }),
  );
}

function parseRecord(text: string, found: ReadonlySet<string>): VolumeLayers | undefined {
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, LayerIds>);
    const isWhole = entries.every(([, ids]) => ids.every((id) => id !== BOTTOM && found.has(id)));
    return isWhole && entries.length > 0
      ? new Map(entries.map(([name, ids]) => [toVolumeName(name), ids]))
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
