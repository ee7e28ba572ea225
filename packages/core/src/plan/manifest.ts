import { createHash, type Hash, hash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { err, ok, type Result } from 'neverthrow';
import { type BytePath, toBytePath, toReadable } from '../backend/byte-path.ts';
import type { HashCache } from '../backend/hash-cache.ts';
import type { FileNames } from './file-names.ts';
import { pacer } from './pacer.ts';
import { readable, type SourceError } from './source-error.ts';
import { baseName, type SourceEntry, type SourceTree, walkSource } from './source-walk.ts';

/** What a `copy` reads. */
export interface CopySources extends SourceTree {
  readonly src: readonly string[];
  /** Whether sources keep their names, as below a `dst` that ends with a slash. */
  readonly named: boolean;
  /** What a cache of hashes calls its files. */
  readonly names: FileNames;
}

const CHUNK = 1024 * 1024;

/**
 * The digest of everything that a `copy` would write: names, kinds, contents, link targets and whether files
 * may be executed. Not of owners, other modes and times.
 *
 * Each file is read as a stream, unless `cache` knows it. Other work gets its turn every few milliseconds.
 */
export async function manifestOf(
  sources: CopySources,
  { cache, signal }: { readonly cache: HashCache; readonly signal: AbortSignal },
): Promise<Result<string, SourceError>> {
  const manifest = new ManifestHash();
  const pause = pacer(signal);
  for (const source of sources.src) {
    manifest.source(sources.named ? baseName(source) : '');
    for (const entry of walkSource(sources, source)) {
      if (entry.isErr()) return err(entry.error);
      const content =
        entry.value.kind === 'file'
          ? await hashFile(entry.value, { names: sources.names, cache, pause })
          : ok('');
      if (content.isErr()) return err(content.error);
      manifest.entry(entry.value, content.value);
      await pause();
    }
  }
  cache.flush();
  return ok(manifest.digest());
}

/** The running digest of a manifest: the one who copies makes it again from what was really written. */
export class ManifestHash {
  readonly #hash: Hash = createHash('sha256').update('snapstep/manifest/1\n');

  source(name: string): void {
    this.#add('source', toBytePath(name));
  }

  /** @param sha256 - Of a file's content; anything else has none. */
  entry(entry: SourceEntry, sha256: string): void {
    if (entry.kind === 'file') this.#add(entry.executable ? 'executable' : 'file', entry.path, sha256);
    else if (entry.kind === 'link') this.#add('link', entry.path, entry.target);
    else this.#add('directory', entry.path);
  }

  digest(): string {
    return this.#hash.digest('hex');
  }

  /** No field can hold a NUL, so no two lists of fields give the same bytes. */
  #add(...fields: readonly BytePath[]): void {
    this.#hash.update(`${fields.join('\0')}\0\n`, 'latin1');
  }
}

/** Whether two looks at a file saw the same one, with nothing written in between. */
export function isSameFile(a: BigIntStats, b: BigIntStats): boolean {
  return (
    a.ino === b.ino &&
    a.dev === b.dev &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs
  );
}

/** Opens a file for reading, if it is still the one that was seen. */
export function openSeen(entry: SourceEntry): Result<number, SourceError> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const opened = readable(toReadable(entry.host), () => ok(openSync(entry.at, flags)));
  if (opened.isErr()) return err(opened.error);
  const fd = opened.value;
  if (isSameFile(fstatSync(fd, { bigint: true }), entry.stat)) return ok(fd);
  closeSync(fd);
  return changed(entry);
}

export function changed(entry: SourceEntry): Result<never, SourceError> {
  const path = toReadable(entry.host);
  return err({ type: 'invalid-source', path, message: `"${path}" changed while it was read` });
}

async function hashFile(
  entry: SourceEntry,
  {
    names,
    cache,
    pause,
  }: {
    readonly names: FileNames;
    readonly cache: HashCache;
    readonly pause: () => Promise<void> | undefined;
  },
): Promise<Result<string, SourceError>> {
  const name = names(entry);
  const known = cache.find(name, entry.stat);
  if (known !== undefined) return ok(known);
  const readAt = Date.now();
  const fd = openSeen(entry);
  if (fd.isErr()) return err(fd.error);
  try {
    const sha256 = await hashContent(fd.value, { size: entry.stat.size, pause });
    if (!isSameFile(fstatSync(fd.value, { bigint: true }), entry.stat)) return changed(entry);
    cache.remember(name, { stat: entry.stat, sha256, readAt });
    return ok(sha256);
  } finally {
    closeSync(fd.value);
  }
}

const buffer: Buffer = Buffer.allocUnsafeSlow(CHUNK);

/** A read may give less than was asked for: a file ends where a read gives nothing, or where its size says. */
async function hashContent(
  fd: number,
  { size, pause }: { readonly size: bigint; readonly pause: () => Promise<void> | undefined },
): Promise<string> {
  const first = buffer.subarray(0, readSync(fd, buffer, 0, CHUNK, null));
  if (BigInt(first.length) === size) return hash('sha256', first);
  const digest = createHash('sha256').update(first);
  for (;;) {
    await pause();
    const length = readSync(fd, buffer, 0, CHUNK, null);
    if (length === 0) return digest.digest('hex');
    digest.update(buffer.subarray(0, length));
  }
}
