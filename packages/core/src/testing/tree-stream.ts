import { hash } from 'node:crypto';
import { err, ok, type Result } from 'neverthrow';
import { cancelled, failed, type StoreError } from '../backend/failures.ts';

/**
 * The format of what a memory store sends: a line of JSON, {@link TreeHeader}, then parts until the archive is whole.
 * A part is the line `+N` and N bytes, or the line `=M N`: N bytes from the M-th on of the archive of the snapshot that
 * the receiver has. The archive is what GNU tar writes of the snapshot, the same bytes on both sides.
 */
export const FORMAT = 'snapstep-memory/1';

export interface TreeHeader {
  readonly format: typeof FORMAT;
  /** The length and the digest of the archive. */
  readonly bytes: number;
  readonly digest: string;
  /** The digest of the archive that parts are taken from. */
  readonly since?: string;
}

const BLOCK = 512;
const CHUNK = 64 * 1024;
const NEWLINE = 10;

export function digestOf(tar: Buffer): string {
  return `sha256:${hash('sha256', tar)}`;
}

/** The stream of an archive, in pieces. With `since`, what is the same there is only pointed to. */
export function* encodeTree(tar: Buffer, since?: Buffer): Generator<Uint8Array> {
  const header: TreeHeader = {
    format: FORMAT,
    bytes: tar.length,
    digest: digestOf(tar),
    ...(since && { since: digestOf(since) }),
  };
  yield Buffer.from(`${JSON.stringify(header)}\n`);
  for (const { from, start, end } of parts(tar, since ?? Buffer.alloc(0))) {
    if (from === undefined) yield* literal(tar.subarray(start, end));
    else yield Buffer.from(`=${from} ${end - start}\n`);
  }
}

/** The archive that a stream stands for; a failure where the stream is not whole, or not for this receiver. */
export function decodeTree(stream: Buffer, since?: Buffer): Result<Buffer, StoreError> {
  const headerEnd = stream.indexOf(NEWLINE);
  const header = headerEnd < 0 ? undefined : parseHeader(stream.toString('utf8', 0, headerEnd));
  if (header === undefined) return err(failed(`the stream is not of the format ${FORMAT}, or ends early`));
  if (header.since !== (since && digestOf(since))) {
    const message = header.since
      ? 'the stream holds what changed since a snapshot that is not the one here'
      : 'the stream is not one of changes';
    return err(failed(message));
  }
  const pieces = decodeParts(stream.subarray(headerEnd + 1), since ?? Buffer.alloc(0));
  const tar = pieces && Buffer.concat(pieces);
  if (tar === undefined || tar.length !== header.bytes || digestOf(tar) !== header.digest) {
    return err(failed('the stream ends early, or was damaged on its way'));
  }
  return ok(tar);
}

/** All bytes of a stream. The stream is cancelled by an abort. */
export async function readAll(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<Result<Buffer, StoreError>> {
  const chunks: Uint8Array[] = [];
  try {
    await body.pipeTo(new WritableStream({ write: (chunk) => void chunks.push(chunk) }), { signal });
    return ok(Buffer.concat(chunks));
  } catch (error) {
    return err(signal.aborted ? cancelled(signal) : failed('the stream broke off', error));
  }
}

interface Part {
  /** Where it is in the other archive; undefined where it is not. */
  readonly from: number | undefined;
  readonly start: number;
  readonly end: number;
}

/** Archives are made of blocks, so a file that did not change is a row of blocks that did not either. */
function* parts(tar: Buffer, since: Buffer): Generator<Part> {
  const known = new Map<string, number>();
  for (let at = 0; at < since.length; at += BLOCK) known.set(blockAt(since, at), at);
  let part: Part | undefined;
  for (let start = 0; start < tar.length; start += BLOCK) {
    const block = blockAt(tar, start);
    const next = part?.from === undefined ? undefined : part.from + start - part.start;
    const goesOn = next !== undefined && next < since.length && blockAt(since, next) === block;
    const from: number | undefined = goesOn ? next : known.get(block);
    const joins = part !== undefined && (goesOn || (from === undefined && part.from === undefined));
    if (part && !joins) yield part;
    const end = Math.min(start + BLOCK, tar.length);
    part = part && joins ? { ...part, end } : { from, start, end };
  }
  if (part) yield part;
}

function blockAt(tar: Buffer, at: number): string {
  return tar.toString('latin1', at, at + BLOCK);
}

function* literal(bytes: Buffer): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK) {
    const chunk = bytes.subarray(at, at + CHUNK);
    yield Buffer.concat([Buffer.from(`+${chunk.length}\n`), chunk]);
  }
}

/** Undefined where a part is not whole. */
function decodeParts(body: Buffer, since: Buffer): Buffer[] | undefined {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const lineEnd = body.indexOf(NEWLINE, at);
    const [, own, from, length] =
      /^(?:\+(\d+)|=(\d+) (\d+))$/.exec(body.toString('latin1', at, lineEnd)) ?? [];
    if (lineEnd < 0 || (own === undefined && from === undefined)) return undefined;
    at = lineEnd + 1;
    const size = Number(own ?? length);
    const start = Number(from ?? at);
    pieces.push((own === undefined ? since : body).subarray(start, start + size));
    if (own !== undefined) at += size;
  }
  return pieces;
}

function parseHeader(line: string): TreeHeader | undefined {
  try {
    const header = JSON.parse(line) as TreeHeader;
    return header.format === FORMAT ? header : undefined;
  } catch {
    return undefined;
  }
}
