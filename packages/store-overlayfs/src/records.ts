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

  /** Forgets what a failed disk left in pieces: a record that cannot be read, or that names a layer not found. */
  async start(found: ReadonlySet<string>): Promise<Result<void, StoreError>> {
    const { directory, fromFileName } = this.#parts;
    const names = await attempt(readdir(directory));
    if (names.isErr()) return err(names.error);
    for (const name of names.value) {
      const text = await attempt(readFile(join(directory, name), 'utf8'));
      if (text.isErr()) return err(text.error);
      const key = fromFileName(name);
      const volumes = parseRecord(text.value, found);
      if (key !== undefined && volumes !== undefined) this.#remember(key, volumes);
      else {
        debug('forgetting %s, which is damaged', join(directory, name));
        const removed = await attempt(rm(join(directory, name)));
        if (removed.isErr()) return removed;
      }
    }
    return ok();
  }

  get(key: K): VolumeLayers | undefined {
    return this.#known.get(key);
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
    const renamed = await attempt(rename(draft, this.#path(key)));
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
    const removed = await attempt(rm(this.#path(key)));
    if (removed.isErr()) return removed;
    this.#known.delete(key);
    return this.#release(before, signal);
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

function parseRecord(text: string, found: ReadonlySet<string>): VolumeLayers | undefined {
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, LayerIds>);
    const isWhole = entries.every(([, ids]) => ids.every((id) => id !== BOTTOM && found.has(id)));
    return isWhole ? new Map(entries.map(([name, ids]) => [toVolumeName(name), ids])) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
