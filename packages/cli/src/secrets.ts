import { readFile } from 'node:fs/promises';
import { err, ok, type Result } from '@snapstep/core';
import { type Failure, usageFailure } from './failure.ts';

/** Reads the file of each `--secret ID:FILE`. */
export async function readSecrets(
  files: ReadonlyMap<string, string>,
): Promise<Result<ReadonlyMap<string, Uint8Array>, Failure>> {
  const secrets = new Map<string, Uint8Array>();
  for (const [id, file] of files) {
    try {
      secrets.set(id, await readFile(file));
    } catch (error) {
      const why = error instanceof Error ? error.message : error;
      return err(usageFailure(`cannot read the secret "${id}": ${why}`));
    }
  }
  return ok(secrets);
}
