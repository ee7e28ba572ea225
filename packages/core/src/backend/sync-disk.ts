import { open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { runCommand } from './command.ts';
import type { StoreError } from './failures.ts';
import { attempt, commandFailure } from './store-failure.ts';

/**
 * Makes durable all that was written so far to the file system that holds `path`: it is there after a power cut.
 *
 * It waits for everybody's data on that disk, so it does not belong on the path of a step.
 */
export async function syncDisk(path: string): Promise<Result<void, StoreError>> {
  // GNU sync(1) of coreutils 8.24 and later calls syncfs(2), which reports what could not be written since Linux 5.8.
  const args = process.platform === 'linux' ? ['--file-system', '--', path] : [];
  const synced = await runCommand('sync', args);
  return synced.isOk() ? ok() : err(commandFailure(synced.error));
}

/** Makes one file, or the entries of one directory, durable. */
export async function syncFile(path: string): Promise<Result<void, StoreError>> {
  return attempt(
    (async () => {
      await using file = await open(path, 'r');
      await file.sync();
    })(),
  );
}

/**
 * Puts a small file in the place of whatever has its name: after a power cut the old one is there or the new one, whole.
 * For files that are written once and that everything else depends on, since it waits for the disk.
 */
export async function writeDurably(path: string, text: string): Promise<Result<void, StoreError>> {
  const draft = `${path}.new`;
  const written = await attempt(writeFile(draft, text, { flush: true }));
  const renamed = written.isOk() ? await attempt(rename(draft, path)) : written;
  if (renamed.isOk()) return syncFile(dirname(path));
  await attempt(rm(draft, { force: true }));
  return renamed;
}
