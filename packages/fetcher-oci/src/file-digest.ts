import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { type Cancelled, cancelled, err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';
import type { FileStamp, State } from './state.ts';

/** The digest of a regular file, read only if it changed since it was read last. */
export async function fileDigest(
  path: string,
  { state, signal }: { readonly state: State; readonly signal: AbortSignal },
): Promise<Result<string, Failed | Cancelled>> {
  const stat = await lstat(path, { bigint: true }).catch((error: Error) => error);
  if (stat instanceof Error) return err(failed(`cannot read ${path}: ${stat.message}`, stat));
  if (!stat.isFile()) return err(failed(`${path} is not a file`));
  const known = state.fileDigest(stampOf(stat));
  if (known !== undefined) return ok(known);
  const fresh = await readDigest(path, { stat, signal });
  if (fresh.isErr()) return err(fresh.error);
  if (fresh.value.settled) state.rememberFiles([{ ...stampOf(stat), digest: fresh.value.digest }]);
  return ok(fresh.value.digest);
}

/** Equal stamps mean that the file was not written to, as Git assumes too. */
export function stampOf(stat: BigIntStats): FileStamp {
  return { file: `${stat.dev}:${stat.ino}`, stamp: `${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}` };
}

type FileTimes = Pick<BigIntStats, 'ctimeNs' | 'mtimeNs'>;

export interface FreshDigest {
  readonly digest: string;
  /** False if it was written to so recently that one more write might not show in its times. */
  readonly settled: boolean;
}

/** The kernel's clock for file times moves in steps of up to 10 ms. */
const RACY_MILLISECONDS = 100;
/** On disks that keep whole seconds, as ext4 with small inodes does, or every other one. */
const RACY_SECONDS = 2100;

/**
 * Reads a regular file that had the given `lstat`. A failure if it is another file by now, or is written to
 * meanwhile.
 */
export async function readDigest(
  path: string | Buffer,
  { stat, signal }: { readonly stat: BigIntStats; readonly signal: AbortSignal },
): Promise<Result<FreshDigest, Failed | Cancelled>> {
  const started = Date.now();
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: Error) => error,
  );
  if (file instanceof Error) return err(failed(`cannot read ${path}: ${file.message}`, file));
  await using opened = file;
  if (!(await isStill(opened, stat))) return err(changed(path));
  const digest = await hashContent(opened, signal).catch((error: Error) => error);
  if (digest instanceof Error) return err(failed(`cannot read ${path}: ${digest.message}`, digest));
  if (digest === undefined) return err(cancelled(signal));
  if (!(await isStill(opened, stat))) return err(changed(path));
  return ok({ digest, settled: isSettled(stat, started) });
}

/** Whether one more write after `readAt` must show in the times of a file. */
export function isSettled({ ctimeNs, mtimeNs }: FileTimes, readAt: number): boolean {
  const racy = ctimeNs % 1_000_000_000n === 0n ? RACY_SECONDS : RACY_MILLISECONDS;
  const recent = BigInt(readAt - racy) * 1_000_000n;
  return ctimeNs < recent && mtimeNs < recent;
}

async function isStill(file: FileHandle, stat: BigIntStats): Promise<boolean> {
  const now = stampOf(await file.stat({ bigint: true }));
  const before = stampOf(stat);
  return now.file === before.file && now.stamp === before.stamp;
}

async function hashContent(file: FileHandle, signal: AbortSignal): Promise<string | undefined> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(256 * 1024);
  for (;;) {
    if (signal.aborted) return undefined;
    const { bytesRead } = await file.read(buffer, 0, buffer.length);
    if (bytesRead === 0) return `sha256:${hash.digest('hex')}`;
    hash.update(buffer.subarray(0, bytesRead));
  }
}

function changed(path: string | Buffer): Failed {
  return failed(`${path} was changed while it was read`);
}
