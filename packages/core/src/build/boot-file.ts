import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from 'neverthrow';
import { bootId } from '../backend/boot-id.ts';
import type { StoreError } from '../backend/failures.ts';
import type { HostPath } from '../backend/names.ts';
import { attemptExisting } from '../backend/store-failure.ts';
import { writeDurably } from '../backend/sync-disk.ts';

/**
 * The boot in which a builder was last opened here, and had forgotten what earlier boots did not make durable. It tells,
 * where the index is lost, which steps of earlier boots can be trusted.
 */
export class BootFile {
  readonly #path: string;

  constructor(stateDir: HostPath) {
    this.#path = join(stateDir, 'boot');
  }

  /** Undefined where no builder was opened yet. */
  async read(): Promise<Result<string | undefined, StoreError>> {
    const text = await attemptExisting(readFile(this.#path, 'utf8'));
    return text.map((found) => found?.trim());
  }

  write(): Promise<Result<void, StoreError>> {
    return writeDurably(this.#path, `${bootId()}\n`);
  }
}
