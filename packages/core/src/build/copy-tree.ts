import { createHash, hash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  openSync,
  readSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { err, ok, type Result } from 'neverthrow';
import { toBytePath, toFsPath, toReadable } from '../backend/byte-path.ts';
import { type Failed, failed } from '../backend/failures.ts';
import type { HashCache } from '../backend/hash-cache.ts';
import type { HostPath, Owner } from '../backend/names.ts';
import { type CopySources, changed, isSameFile, ManifestHash, openSeen } from '../plan/manifest.ts';
import { pacer } from '../plan/pacer.ts';
import type { SourceError } from '../plan/source-error.ts';
import { baseName, type SourceEntry, walkSource } from '../plan/source-walk.ts';
import { splitPath, type TreePath, within } from '../plan/tree-path.ts';
import { TargetDirectories } from './target-directories.ts';

export interface CopyRequest {
  readonly sources: CopySources;
  /** What the files had when the step's key was made: anything else is an error. */
  readonly manifest: string;
  /** The file system that is written. Nobody else may change it meanwhile. */
  readonly root: HostPath;
  /** Of that file system: the directory that sources go to under their names, or what the one source becomes. */
  readonly target: TreePath;
  readonly owner: Owner;
  readonly hashes: HashCache;
  readonly signal: AbortSignal;
}

type Copied<T> = Result<T, SourceError | Failed>;

const CHUNK = 1024 * 1024;
/** Below this, reading and writing is faster than asking for a reflink. */
const REFLINK_FROM = 256n * 1024n;

/**
 * Copies files and directories into a file system, and never outside it, whatever links it holds.
 *
 * - Directories that exist keep their mode, owner and times. New ones get 0755, new files 0755 or 0644;
 *   all that is new belongs to `owner` and has the modification time of its source, to the microsecond.
 * - A file or link replaces what is there, unless that is a directory.
 * - A link to a directory of the same file system is followed where a directory is wanted.
 *
 * @throws The signal's reason, or what a system call threw.
 */
export async function copyTree(request: CopyRequest): Promise<Copied<void>> {
  const copy = new TreeCopy(request);
  const result = await copy.run();
  copy.finish();
  return result;
}

class TreeCopy {
  readonly #request: CopyRequest;
  readonly #manifest = new ManifestHash();
  readonly #directories: TargetDirectories;
  readonly #pause: () => Promise<void> | undefined;
  #reflinks = true;

  constructor(request: CopyRequest) {
    this.#request = request;
    this.#directories = new TargetDirectories(request.root, request.owner);
    this.#pause = pacer(request.signal);
  }

  async run(): Promise<Copied<void>> {
    for (const source of this.#request.sources.src) {
      const copied = await this.#source(source);
      if (copied.isErr()) return copied;
    }
    if (this.#manifest.digest() === this.#request.manifest) return ok();
    const path = this.#request.sources.src.join(' ');
    return err({ type: 'invalid-source', path, message: `"${path}" changed while it was copied` });
  }

  finish(): void {
    this.#directories.setTimes();
  }

  async #source(source: string): Promise<Copied<void>> {
    const { sources, target } = this.#request;
    const name = sources.named ? baseName(source) : '';
    this.#manifest.source(name);
    const top = within(target, toBytePath(name));
    for (const entry of walkSource(sources, source)) {
      if (entry.isErr()) return err(entry.error);
      const written = await this.#write(entry.value, within(top, entry.value.path));
      if (written.isErr()) return err(written.error);
      this.#manifest.entry(entry.value, written.value);
      await this.#pause();
    }
    return ok();
  }

  /** @returns The SHA-256 of what was written, where it has content. */
  async #write(entry: SourceEntry, target: TreePath): Promise<Copied<string>> {
    if (entry.kind === 'directory') {
      const made = await this.#directories.need(target, entry.stat);
      return made.map(() => '');
    }
    const spot = splitPath(target);
    if (spot === undefined) return inTheWay(target);
    const parent = await this.#directories.need(spot.directory);
    if (parent.isErr()) return err(parent.error);
    const place = toFsPath(`${parent.value}/${spot.name}`);
    const there = lstatSync(place, { throwIfNoEntry: false });
    if (there?.isDirectory()) return inTheWay(target);
    if (there?.isSymbolicLink()) this.#directories.forget();
    if (there) rmSync(place);
    return entry.kind === 'link' ? this.#writeLink(entry, place) : this.#writeFile(entry, place);
  }

  #writeLink(entry: SourceEntry & { kind: 'link' }, place: Buffer): Copied<string> {
    const { owner } = this.#request;
    symlinkSync(toFsPath(entry.target), place);
    lchownSync(place, owner.uid, owner.gid);
    lutimesSync(place, seconds(entry), seconds(entry));
    return ok('');
  }

  async #writeFile(entry: SourceEntry & { kind: 'file' }, place: Buffer): Promise<Copied<string>> {
    const known = entry.stat.size >= REFLINK_FROM ? this.#knownHash(entry) : undefined;
    const linked = known !== undefined && this.#reflinks && this.#reflink(entry, place);
    const fd = openSync(place, linked ? constants.O_RDWR | constants.O_NOFOLLOW : 'wx', 0o600);
    try {
      const sha256 = linked ? ok(known) : await this.#writeContent(entry, fd);
      if (sha256.isErr()) return sha256;
      if (linked && !isSameFile(lstatSync(entry.at, { bigint: true }), entry.stat)) return changed(entry);
      fchownSync(fd, this.#request.owner.uid, this.#request.owner.gid);
      fchmodSync(fd, entry.executable ? 0o755 : 0o644);
      futimesSync(fd, seconds(entry), seconds(entry));
      return sha256;
    } finally {
      closeSync(fd);
    }
  }

  #knownHash(entry: SourceEntry): string | undefined {
    const { hashes, sources } = this.#request;
    return hashes.find(sources.names(entry), entry.stat);
  }

  async #writeContent(entry: SourceEntry, to: number): Promise<Copied<string>> {
    const from = openSeen(entry);
    if (from.isErr()) return err(from.error);
    try {
      const sha256 = await pipe(from.value, { to, size: entry.stat.size, pause: this.#pause });
      return isSameFile(fstatSync(from.value, { bigint: true }), entry.stat) ? ok(sha256) : changed(entry);
    } finally {
      closeSync(from.value);
    }
  }

  /** Shares the blocks of a file whose hash is known; false where the disk cannot. */
  #reflink(entry: SourceEntry, place: Buffer): boolean {
    try {
      copyFileSync(entry.at, place, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
      chmodSync(place, 0o600);
      return true;
    } catch {
      rmSync(place, { force: true });
      this.#reflinks = false;
      return false;
    }
  }
}

function inTheWay(target: TreePath): Result<never, Failed> {
  return err(failed(`cannot put a file in the place of the directory "/${toReadable(target)}"`));
}

const buffer: Buffer = Buffer.allocUnsafeSlow(CHUNK);

async function pipe(
  from: number,
  {
    to,
    size,
    pause,
  }: { readonly to: number; readonly size: bigint; readonly pause: () => Promise<void> | undefined },
): Promise<string> {
  const first = buffer.subarray(0, readSync(from, buffer, 0, CHUNK, null));
  writeAll(to, first);
  if (BigInt(first.length) === size) return hash('sha256', first);
  const digest = createHash('sha256').update(first);
  for (;;) {
    await pause();
    const chunk = buffer.subarray(0, readSync(from, buffer, 0, CHUNK, null));
    if (chunk.length === 0) return digest.digest('hex');
    writeAll(to, chunk);
    digest.update(chunk);
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

/** Node sets times as seconds in a double, which is exact to a microsecond. */
function seconds(entry: SourceEntry): number {
  return Number(entry.stat.mtimeNs) / 1e9;
}
