import { mkdirSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ImageConfig } from '../backend/fetcher.ts';
import type { HostPath, StepKey } from '../backend/names.ts';
import { canonicalJson, type KeyedInputs } from '../plan/key.ts';

/** What is kept beside a step's result: enough to explain its key, and to bring a lost index back. */
export interface StepRecord {
  readonly inputs: KeyedInputs;
  readonly title: string;
  /** What the base image at the root of the chain says about commands. */
  readonly image: ImageConfig;
}

/** One small file for each step: `<directory>/ab/<key>.json`. */
export class StepRecords {
  readonly #directory: HostPath;

  constructor(directory: HostPath) {
    this.#directory = directory;
  }

  async write(key: StepKey, record: StepRecord): Promise<void> {
    const path = this.#path(key);
    mkdirSync(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, canonicalJson(record), { mode: 0o600 });
    await rename(`${path}.new`, path);
  }

  /** Writes a record unless there is one: that of a step that runs or is saved knows more. */
  async writeIfAbsent(key: StepKey, record: StepRecord): Promise<void> {
    const path = this.#path(key);
    mkdirSync(dirname(path), { recursive: true });
    await writeFile(path, canonicalJson(record), { mode: 0o600, flag: 'wx' }).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
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
