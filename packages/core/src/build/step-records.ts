import { hash } from 'node:crypto';
import { constants, mkdirSync } from 'node:fs';
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
    await writeFile(`${path}.new`, toText(key, { ...record, boot: bootId() }), { mode: 0o600 });
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

  /** Undefined if there is none, if it is damaged, or if it is that of another step. */
  async read(key: StepKey): Promise<StepRecord | undefined> {
    try {
      return fromText(key, await readFile(this.#path(key), { encoding: 'utf8', flag: READ }));
    } catch (error) {
      if (error instanceof Error && 'code' in error && NO_RECORD.has(`${error.code}`)) return undefined;
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

/** A pipe in the place of a file is empty then, and nobody waits for who might write to it. */
const READ: number = constants.O_RDONLY | constants.O_NONBLOCK;

/** There is none; or Node says that so much is no text of a record. */
const NO_RECORD: ReadonlySet<string> = new Set(['ENOENT', 'ERR_FS_FILE_TOO_LARGE', 'ERR_STRING_TOO_LONG']);

/** With a digest: a step that runs on what another one's image says would be wrong for ever. */
function toText(key: StepKey, record: StepRecord): string {
  return canonicalJson({ ...record, check: digestOf(key, record) });
}

function fromText(key: StepKey, text: string): StepRecord | undefined {
  const record = parseObject(text) as StepRecord & { readonly check?: string };
  return record.check === digestOf(key, record) ? record : undefined;
}

/** The boot is not in it: one that nobody knows is not trusted anyway. */
function digestOf(key: StepKey, { inputs, title, image }: StepRecord): string {
  return hash('sha256', canonicalJson({ key, inputs, title, image }));
}

/** An empty one for what is no JSON, or the JSON of something else. */
function parseObject(text: string): object {
  try {
    return Object(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
