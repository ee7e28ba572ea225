import { failed, type StoreError } from '@snapstep/core/backend';

/**
 * Several streams of `zfs send` in one: a line that names the format, then frames of one letter, the length of what
 * follows in four bytes, and that. The last frame says that all is there, so that a stream that was cut is known.
 */
export type Frame =
  /** What comes next is a volume, whole or as what changed since another snapshot. */
  | { readonly kind: 'V'; readonly volume: string; readonly isIncremental: boolean }
  | { readonly kind: 'D'; readonly data: Uint8Array }
  | { readonly kind: 'E' };

export const FORMAT = 'zfs-send/1';
const MAGIC: Uint8Array = Buffer.from(`snapstep ${FORMAT}\n`);
const HEADER = 5;
const LONGEST = 16 * 1024 * 1024;

/** What reading frames may throw. */
export class BrokenStream extends Error {
  readonly failure: StoreError;

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.failure = failed(message, cause);
  }
}

export async function* writeFrames(frames: AsyncIterable<Frame>): AsyncGenerator<Uint8Array> {
  yield MAGIC;
  for await (const frame of frames) {
    const payload = payloadOf(frame);
    const header = Buffer.alloc(HEADER);
    header.write(frame.kind, 0);
    header.writeUInt32BE(payload.length, 1);
    yield header;
    if (payload.length > 0) yield payload;
  }
}

/** @throws BrokenStream if it is not such a stream, or ends before its last frame, or cannot be read. */
export async function* readFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame> {
  const bytes = new Bytes(body);
  try {
    const magic = await bytes.take(MAGIC.length);
    if (Buffer.compare(magic, MAGIC) !== 0)
      throw new BrokenStream(`the stream is not in the format ${FORMAT}`);
    for (let isWhole = false; !isWhole; ) {
      const frame = await readFrame(bytes);
      isWhole = frame.kind === 'E';
      yield frame;
    }
  } finally {
    await bytes.close();
  }
}

async function readFrame(bytes: Bytes): Promise<Frame> {
  const header = Buffer.from(await bytes.take(HEADER));
  const kind = header.toString('latin1', 0, 1);
  const length = header.readUInt32BE(1);
  if (length > LONGEST) throw new BrokenStream('the stream has a frame that is too long');
  const data = await bytes.take(length);
  if (kind === 'D') return { kind, data };
  if (kind === 'E') return { kind };
  const [, mark, volume] = /^([+=])(.+)$/.exec(Buffer.from(data).toString()) ?? [];
  if (kind !== 'V' || volume === undefined)
    throw new BrokenStream(`the stream has an unknown frame "${kind}"`);
  return { kind, volume, isIncremental: mark === '+' };
}

function payloadOf(frame: Frame): Uint8Array {
  if (frame.kind === 'D') return frame.data;
  if (frame.kind === 'E') return new Uint8Array();
  return Buffer.from(`${frame.isIncremental ? '+' : '='}${frame.volume}`);
}

/** Takes so many bytes as are asked for from a stream that gives them in pieces of any size. */
class Bytes {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #left: Uint8Array = new Uint8Array();

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  async take(count: number): Promise<Uint8Array> {
    const pieces = [this.#left];
    for (let have = this.#left.length; have < count; ) {
      const piece = await this.#read();
      pieces.push(piece);
      have += piece.length;
    }
    const all = pieces.length === 1 ? this.#left : Buffer.concat(pieces);
    this.#left = all.subarray(count);
    return all.subarray(0, count);
  }

  async close(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<Uint8Array> {
    const { value, done } = await this.#reader.read().catch((error) => {
      throw new BrokenStream(
        `the stream cannot be read: ${error instanceof Error ? error.message : error}`,
        error,
      );
    });
    if (done) throw new BrokenStream('the stream ended too early');
    return value;
  }
}
