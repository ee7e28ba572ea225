import { lstat, realpath } from 'node:fs/promises';
import { err, type FetchError, failed, ok, type Result } from '@snapstep/core/backend';
import { stampOf } from './file-digest.ts';
import { imageNotFound, type SourceContext } from './source.ts';

export interface LocalPlace {
  /** Without links in it. */
  readonly path: string;
  readonly isDirectory: boolean;
}

/** Where a path leads, links followed. `image-not-found` if it leads nowhere. */
export async function findLocal(
  path: string,
  { image }: SourceContext,
): Promise<Result<LocalPlace, FetchError>> {
  try {
    const found = await realpath(path);
    return ok({ path: found, isDirectory: (await lstat(found)).isDirectory() });
  } catch (error) {
    const message = `"${image.name}" is looked for at ${path}: ${error instanceof Error ? error.message : error}`;
    return err(isMissing(error) ? imageNotFound(image, message) : failed(message, error));
  }
}

/** What `read` gives, unless the file was written to or replaced before `read` was done with it. */
export async function whileUnchanged<T>(
  path: string,
  read: () => Promise<Result<T, FetchError>>,
): Promise<Result<T, FetchError>> {
  const before = await fileStamp(path);
  const result = await read();
  if (result.isErr() || (await fileStamp(path)) === before) return result;
  return err(failed(`${path} was changed while it was unpacked`));
}

async function fileStamp(path: string): Promise<string | undefined> {
  const stat = await lstat(path, { bigint: true }).catch(() => undefined);
  return stat && stampOf(stat);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
