import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ok, type Result } from 'neverthrow';
import type { Outcome, StoreError } from './failures.ts';
import { attemptExisting } from './store-failure.ts';
import { writeDurably } from './sync-disk.ts';

/**
 * The text by which a store and the state of its builder know each other. Both keep the same one; whoever opens them
 * together can tell when one of the two was exchanged.
 */
export interface Pairing {
  /** Undefined where none was ever set. */
  get(): Outcome<string | undefined, StoreError>;
  /** Replaces the text. It is durable when the call settles. */
  set(text: string): Outcome<void, StoreError>;
}

/** The name of the file in which {@link pairingIn} keeps the text. */
export const PAIRING_FILE = 'paired-with';

/** A pairing in a file of a directory. A file that is empty or damaged counts as a text that nobody knows. */
export function pairingIn(directory: string): Pairing {
  const path = join(directory, PAIRING_FILE);
  return {
    async get(): Promise<Result<string | undefined, StoreError>> {
      const text = await attemptExisting(readFile(path, 'utf8'));
      return text.map((found) => found?.trim());
    },
    set: (text) => writeDurably(path, `${text}\n`),
  };
}

/** A pairing that lives in memory, for tests. */
export function pairingInMemory(): Pairing {
  let known: string | undefined;
  return {
    get: async () => ok(known),
    async set(text) {
      known = text;
      return ok();
    },
  };
}
