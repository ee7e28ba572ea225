import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { err, ok, type Result } from 'neverthrow';
import { cancelled, type StoreError } from '../backend/failures.ts';
import { toVolumeName } from '../backend/names.ts';
import { removeTree } from '../backend/remove-tree.ts';
import { attempt } from '../backend/store-failure.ts';
import type { MemoryTree } from './memory-active.ts';
import type { MemoryDisk } from './memory-disk.ts';
import { createTar, extractTar } from './tar.ts';

/** The archive of a saved tree. */
export async function pack(
  disk: MemoryDisk,
  { path, signal }: { readonly path: string; readonly signal?: AbortSignal },
): Promise<Result<Buffer, StoreError>> {
  const file = disk.fresh();
  const packed = await createTar(path, { file, ...(signal && { signal }) });
  const bytes = packed.isOk() ? await attempt(readFile(file)) : err(packed.error);
  await removeTree(file);
  return bytes;
}

/** Makes a tree, not yet saved, of an archive. */
export async function unpack(
  disk: MemoryDisk,
  { tar, signal }: { readonly tar: Buffer; readonly signal: AbortSignal },
): Promise<Result<MemoryTree, StoreError>> {
  const file = disk.fresh();
  const path = disk.fresh();
  const written = await attempt(Promise.all([mkdir(path), writeFile(file, tar)]));
  const unpacked = written.isOk() ? await extractTar(file, { into: path, signal }) : err(written.error);
  const names = unpacked.isOk() ? await attempt(readdir(path)) : err(unpacked.error);
  await removeTree(file);
  if (names.isOk() && !signal.aborted) return ok({ path, volumes: names.value.map(toVolumeName) });
  await disk.discard(path);
  return err(names.isErr() ? names.error : cancelled(signal));
}
