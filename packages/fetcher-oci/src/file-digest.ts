import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import {
  type Cancelled,
  cancelled,
  err,
  type Failed,
  failed,
  type HashCache,
  ok,
  type Result,
} from '@snapstep/core/backend';
import { type FileNames, fileNames } from './file-names.ts';

export interface ReadOptions {
  /** For system calls, where that is not the path itself. */
  readonly at?: Buffer;
  /** What `lstat` says of the file now. */
  readonly stat: BigIntStats;
  readonly names: FileNames;
  readonly hashes: HashCache;
  readonly signal: AbortSignal;
}

/** The digest of a regular file, read only if it changed since it was read last. */
export async function fileDigest(
  path: string,
  { hashes, signal }: { readonly hashes: HashCache; readonly signal: AbortSignal },
): Promise<Result<string, Failed | Cancelled>> {
  const stat = await lstat(path, { bigint: true }).catch((error: Error) => error);
  if (stat instanceof Error) return err(failed(`cannot read ${path}: ${stat.message}`, stat));
  if (!stat.isFile()) return err(failed(`${path} is not a file`));
  const names = await fileNames(path);
  const digest = await knownDigest(Buffer.from(path), { stat, names, hashes, signal });
  hashes.flush();
  return digest;
}

/**
 * The digest of a regular file that had the given `lstat`. A failure if it is another file by now, or is written to
 * while it is read. Whoever calls this flushes the cache.
 */
export async function knownDigest(
  path: Buffer,
  { at = path, stat, names, hashes, signal }: ReadOptions,
): Promise<Result<string, Failed | Cancelled>> {
  const name = names(path, stat);
  const known = name === undefined ? undefined : hashes.find(name, stat);
  if (known !== undefined) return ok(`sha256:${known}`);
  const readAt = Date.now();
  const sha256 = await readFile(path, { at, stat, signal });
  if (sha256.isErr()) return err(sha256.error);
  if (name !== undefined) hashes.remember(name, { stat, sha256: sha256.value, readAt });
  return ok(`sha256:${sha256.value}`);
}

/** Equal stamps mean that it is the same file, and that it was not written to, as Git assumes too. */
export function stampOf({ dev, ino, birthtimeNs, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, birthtimeNs, size, mtimeNs, ctimeNs].join(':');
}

async function readFile(
  path: Buffer,
  { at, stat, signal }: Required<Pick<ReadOptions, 'at' | 'stat' | 'signal'>>,
): Promise<Result<string, Failed | Cancelled>> {
  const file = await open(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: Error) => error,
  );
  if (file instanceof Error) return err(failed(`cannot read ${path}: ${reasonOf(file)}`, file));
  await using opened = file;
  if (!(await isStill(opened, stat))) return err(changed(path));
  const sha256 = await hashContent(opened, signal).catch((error: Error) => error);
  if (sha256 instanceof Error) return err(failed(`cannot read ${path}: ${reasonOf(sha256)}`, sha256));
  if (sha256 === undefined) return err(cancelled(signal));
  return (await isStill(opened, stat)) ? ok(sha256) : err(changed(path));
}

async function isStill(file: FileHandle, stat: BigIntStats): Promise<boolean> {
  return stampOf(await file.stat({ bigint: true })) === stampOf(stat);
}

async function hashContent(file: FileHandle, signal: AbortSignal): Promise<string | undefined> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(256 * 1024);
  for (;;) {
    if (signal.aborted) return undefined;
    const { bytesRead } = await file.read(buffer, 0, buffer.length);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
  }
}

/** What the system says, without a path that may be one for system calls only. */
export function reasonOf({ message }: Error): string {
  return message.replace(/, \w+ '.*'$/s, '');
}

function changed(path: Buffer): Failed {
  return failed(`${path} was changed while it was read`);
}
