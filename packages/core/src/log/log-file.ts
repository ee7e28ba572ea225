import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import createDebug from 'debug';

const debug: createDebug.Debugger = createDebug('snapstep:log');

/**
 * Files that are open. Whoever reads a log may forget to go on: then its file stays open, and is not collected with the
 * reader, which Node warns of and will throw for (DEP0137).
 */
const held = new Set<FileHandle>();

/** Bytes that are read or copied at once. */
export const CHUNK: number = 64 * 1024;

/**
 * A new, empty file. It is made under a name of its own, so that several attempts at one step never meet, and then takes
 * the place of what is at `path`, or has no name at all.
 *
 * @param options.isNamed - Asked when the file is there.
 */
export async function createFile(
  path: string,
  { isNamed }: { readonly isNamed: () => boolean },
): Promise<FileHandle> {
  mkdirSync(dirname(path), { recursive: true });
  const own = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(own, 'wx+', 0o600);
  held.add(file);
  try {
    // Nothing is awaited between the question and what follows from it.
    if (isNamed()) replace(own, path);
    else rmSync(own);
    return file;
  } catch (error) {
    removeFile(own);
    await closeFile(file);
    throw error;
  }
}

/** Opens a file for reading; undefined if there is none. */
export async function openFile(path: string): Promise<FileHandle | undefined> {
  const file = await open(path).catch(ignoreMissing);
  if (file) held.add(file);
  return file;
}

/** Never rejects. */
export async function closeFile(file: FileHandle): Promise<void> {
  held.delete(file);
  await file.close().catch((error: unknown) => debug('a log cannot be closed: %o', error));
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}

function replace(own: string, path: string): void {
  try {
    renameSync(own, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EISDIR') throw error;
    // No log is a directory: this one was made by something else, or by a damaged disk.
    rmSync(path, { recursive: true });
    renameSync(own, path);
  }
}

/** What cannot be removed stays, and is swept later. */
export function removeFile(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    debug('%s stays: %o', path, error);
  }
}

/** Writes all of it. @param onWritten - Told of each part that is in the file, also where a later one fails. */
export async function writeAt(
  file: FileHandle,
  bytes: Uint8Array,
  { position, onWritten }: { readonly position: number; readonly onWritten?: (count: number) => void },
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
    onWritten?.(bytesWritten);
  }
}

/** Up to {@link CHUNK} bytes, fewer where the file ends, none at its end. */
export async function readAt(
  file: FileHandle,
  { position, length }: { readonly position: number; readonly length: number },
): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(length, CHUNK));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
  return buffer.subarray(0, bytesRead);
}
