import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BrokenStream, type Frame, readFrames, writeFrames } from '../src/frames.ts';

const frames: readonly Frame[] = [
  { kind: 'V', volume: 'home', isIncremental: false },
  { kind: 'D', data: Buffer.from('what zfs send printed') },
  { kind: 'D', data: Buffer.from([0, 255, 10]) },
  { kind: 'V', volume: 'brew', isIncremental: true },
  { kind: 'E' },
];

async function* given<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function written(): Promise<Buffer> {
  return Buffer.concat(await all(writeFrames(given(frames))));
}

function read(pieces: readonly Uint8Array[]): Promise<Frame[]> {
  return all(readFrames(ReadableStream.from(pieces)));
}

describe('a stream of several volumes', () => {
  it('is read as it was written, in pieces of any size', async () => {
    const bytes = await written();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        expect(JSON.stringify(await read(pieces))).toBe(JSON.stringify(frames));
      }),
    );
  });

  it('is known to be cut, wherever it is', async () => {
    const bytes = await written();
    for (let length = 0; length < bytes.length; length += 1) {
      await expect(read([bytes.subarray(0, length)]), `${length}`).rejects.toThrow(BrokenStream);
    }
  });

  it('is refused where it is something else, without reading it all', async () => {
    const noise = fc.uint8Array({ minLength: 1, maxLength: 100 });
    await fc.assert(
      fc.asyncProperty(noise, async (bytes) => {
        await expect(read([bytes])).rejects.toThrow(BrokenStream);
        const start = (await written()).subarray(0, 'snapstep zfs-send/1\n'.length);
        await expect(read([start, Buffer.from('X\xff\xff\xff\xff', 'latin1'), bytes])).rejects.toThrow(
          'too long',
        );
      }),
      { numRuns: 50 },
    );
  });
});
