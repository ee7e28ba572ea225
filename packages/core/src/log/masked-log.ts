import type { LogSink } from '../backend/log-sink.ts';
import { BytePatterns, START } from './byte-patterns.ts';
import { secretPatterns } from './secret-patterns.ts';

/** What stands in a log for the value of a secret. */
const MASK: Uint8Array = new TextEncoder().encode('***');

export interface MaskedLog {
  readonly output: LogSink;
  /** Writes what was held back. To be called when no more will come. */
  flush(): Promise<void>;
}

/**
 * A log that never gets the values of secrets: bytes that belong to one, or to one of its lines, become `***`, wherever
 * the output is cut into chunks. Of the rest only an end that a value begins with is held back, until more comes.
 *
 * It finds values as they are. One that was encoded, or printed in part, is not found.
 */
export function maskSecrets(log: LogSink, values: readonly Uint8Array[]): MaskedLog {
  // A spec may ask for one secret at many places.
  const patterns = secretPatterns([...new Set(values)]);
  if (patterns.length === 0) return { output: log, flush: async () => {} };
  const encoder = new TextEncoder();
  const mask = new SecretMask(new BytePatterns(patterns));
  const pass = async (bytes: Uint8Array): Promise<void> => {
    if (bytes.length > 0) await log.write(bytes);
  };
  return {
    output: { write: (chunk) => pass(mask.push(typeof chunk === 'string' ? encoder.encode(chunk) : chunk)) },
    flush: () => pass(mask.end()),
  };
}

/** Offsets that count all bytes that came. */
interface Range {
  readonly start: number;
  readonly end: number;
}

class SecretMask {
  readonly #patterns: BytePatterns;
  #state = START;
  /** How many bytes came. */
  #read = 0;
  /** How many of them were given on, or masked. */
  #done = 0;
  /** Where the last mask ends. What is masked directly behind it needs no other. */
  #maskedTo = -1;
  /** What belongs to a secret and is not masked yet: apart from each other, in order. */
  #secret: Range[] = [];

  constructor(patterns: BytePatterns) {
    this.#patterns = patterns;
  }

  /** @returns What can be given on. Nothing of `chunk` is kept. */
  push(chunk: Uint8Array): Uint8Array {
    // What was held back is the beginning of a pattern, so it need not be stored.
    const held = this.#patterns.bytesOf(this.#state);
    const start = this.#read - held.length;
    for (const byte of chunk) this.#add(byte);
    const until = this.#read - this.#patterns.bytesOf(this.#state).length;
    return this.#take(until, [held, chunk], start);
  }

  /** @returns What was held back. */
  end(): Uint8Array {
    const held = this.#patterns.bytesOf(this.#state);
    this.#state = START;
    return this.#take(this.#read, [held], this.#read - held.length);
  }

  #add(byte: number): void {
    this.#state = this.#patterns.next(this.#state, byte);
    this.#read += 1;
    const length = this.#patterns.matchAt(this.#state);
    if (length === 0) return;
    let start = this.#read - length;
    for (let last = this.#secret.at(-1); last && last.end >= start; last = this.#secret.at(-1)) {
      start = Math.min(start, last.start);
      this.#secret.pop();
    }
    this.#secret.push({ start, end: this.#read });
  }

  /** Goes on to an offset, and beyond it where a secret is. @param start - The offset of the first of the bytes. */
  #take(until: number, bytes: readonly Uint8Array[], start: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let masked = 0;
    for (;;) {
      const next = this.#secret[masked];
      const clear = Math.max(this.#done, Math.min(until, next?.start ?? until));
      parts.push(...bytesBetween(bytes, this.#done - start, clear - start));
      this.#done = clear;
      if (next === undefined || next.start > this.#done) break;
      if (this.#maskedTo !== this.#done) parts.push(MASK);
      this.#done = next.end;
      this.#maskedTo = next.end;
      masked += 1;
    }
    this.#secret.splice(0, masked);
    return Buffer.concat(parts);
  }
}

/** A part of two pieces that follow each other. */
function bytesBetween(
  [first = new Uint8Array(), second = new Uint8Array()]: readonly Uint8Array[],
  from: number,
  to: number,
): Uint8Array[] {
  const { length } = first;
  return [first.subarray(from, to), second.subarray(Math.max(0, from - length), Math.max(0, to - length))];
}
