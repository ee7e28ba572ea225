import { mkdirSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bootId } from '../backend/boot-id.ts';
import type { ImageConfig } from '../backend/fetcher.ts';
import type { HostPath, StepKey } from '../backend/names.ts';
import { canonicalJson, type KeyedInputs } from '../plan/key.ts';

/** What is kept beside a step's result: enough to explain its key, and to bring a lost index back. */
export interface StepRecord {
  readonly inputs: KeyedInputs;
  readonly title: string;
  /** What the base image at the root of the chain says about commands. */
  readonly image: ImageConfig;
  /** The boot in which the step ran. */
  readonly boot: string;
}

/** How many steps that were only planned are remembered. */
const MOST_PLANNED = 1000;

/** One small file for each step: `<directory>/ab/<key>.json`. */
export class StepRecords {
  readonly #directory: HostPath;
  readonly #planned = new Map<StepKey, KeyedInputs>();

  constructor(directory: HostPath) {
    this.#directory = directory;
  }

  async write(key: StepKey, record: Omit<StepRecord, 'boot'>): Promise<void> {
    const path = this.#path(key);
    mkdirSync(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, canonicalJson({ ...record, boot: bootId() }), { mode: 0o600 });
    await rename(`${path}.new`, path);
  }

  /** Remembers what a step that was only planned is made of, in memory, and no more than the last ones. */
  plan(key: StepKey, inputs: KeyedInputs): void {
    this.#planned.delete(key);
    this.#planned.set(key, inputs);
    const [oldest] = this.#planned.keys();
    if (this.#planned.size > MOST_PLANNED && oldest !== undefined) this.#planned.delete(oldest);
  }

  /** What a step is made of, whether it ran or was planned lately. */
  async inputs(key: StepKey): Promise<KeyedInputs | undefined> {
    return (await this.read(key))?.inputs ?? this.#planned.get(key);
  }

  /** Undefined if there is none, or half of one. */
  async read(key: StepKey): Promise<StepRecord | undefined> {
    try {
      return JSON.parse(await readFile(this.#path(key), 'utf8'));
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (isMissing || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  async remove(key: StepKey): Promise<void> {
    await rm(this.#path(key), { force: true });
  }

  #path(key: StepKey): string {
    return join(this.#directory, key.slice(0, 2), `${key}.json`);
  }
}
