import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import type { StoreError } from '../backend/failures.ts';
import { isStepKey, type StepKey } from '../backend/names.ts';
import { attemptExisting } from '../backend/store-failure.ts';
import type { Engine } from './engine.ts';

/** The keys that begin with `prefix`, of steps that are saved, that run, or that left a log or a record. */
export async function knownKeys(
  { stateDir, index }: Engine,
  prefix: string,
): Promise<Result<readonly StepKey[], StoreError>> {
  const keys = new Set(index.list().map(({ key }) => key));
  for (const kind of ['logs', 'steps']) {
    const found = await keysOfFiles(join(stateDir, kind), prefix);
    if (found.isErr()) return found;
    for (const key of found.value) keys.add(key);
  }
  return ok([...keys].filter((key) => key.startsWith(prefix)).sort());
}

/** The keys that files below a directory are named after: `<directory>/ab/<key>.log`. */
async function keysOfFiles(
  directory: string,
  prefix: string,
): Promise<Result<readonly StepKey[], StoreError>> {
  const groups = prefix.length < 2 ? await attemptExisting(readdir(directory)) : ok([prefix.slice(0, 2)]);
  if (groups.isErr()) return err(groups.error);
  const keys: StepKey[] = [];
  for (const group of groups.value ?? []) {
    if (!/^[0-9a-f]{2}$/.test(group)) continue;
    const names = await attemptExisting(readdir(join(directory, group)));
    if (names.isErr()) return err(names.error);
    keys.push(...(names.value ?? []).map((name) => name.split('.')[0] ?? '').filter(isStepKey));
  }
  return ok(keys);
}
