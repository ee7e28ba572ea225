import { tempDir } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHostPath, toStepKey } from '../../src/index.ts';
import { type StepLog, StepLogs } from '../../src/log/step-log.ts';

const KEY = toStepKey('ab'.repeat(32));

async function text(log: StepLog | undefined, from = 0): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of log?.follow({ from }) ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('a step log', () => {
  it('gives every reader every byte, whenever it joins [L1]', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    const writer = logs.begin(KEY);
    const early = text(await logs.find(KEY));
    await writer.write('one ');
    const middle = text(await logs.find(KEY));
    await writer.write(Buffer.from('two'));
    const held = await logs.find(KEY);
    await writer.end();
    const late = text(await logs.find(KEY));
    expect(await Promise.all([early, middle, late, text(held)])).toEqual(Array(4).fill('one two'));
  });

  it('starts a reader at any offset', async () => {
    await using dir = await tempDir();
    const writer = new StepLogs(toHostPath(dir.path)).begin(KEY);
    await writer.write('0123456789');
    const reading = text(writer.log, 7);
    await writer.end();
    expect(await reading).toBe('789');
    expect(await text(writer.log, 10)).toBe('');
  });

  it('of an attempt stays readable for those who have it when the next attempt begins [L1]', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    const first = logs.begin(KEY);
    await first.write('first');
    const reader = first.log.follow()[Symbol.asyncIterator]();
    const begun = await reader.next();
    await first.end();
    const second = logs.begin(KEY);
    await second.write('second');
    await second.end();
    expect(Buffer.from(begun.value).toString()).toBe('first');
    expect((await reader.next()).done).toBe(true);
    expect(await text(await logs.find(KEY))).toBe('second');
  });

  it('of a step that ended before it printed is empty [L4]', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    await logs.begin(KEY).end();
    expect(await text(await logs.find(KEY))).toBe('');
    expect(await logs.find(toStepKey('cd'.repeat(32)))).toBeUndefined();
  });

  it('lets a reader go when it is aborted', async () => {
    await using dir = await tempDir();
    const writer = new StepLogs(toHostPath(dir.path)).begin(KEY);
    const stop = new AbortController();
    const reader = writer.log.follow({ signal: stop.signal })[Symbol.asyncIterator]();
    const next = reader.next();
    stop.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    await writer.end();
  });

  it('keeps bytes as they are, in the order of the writes, for any chunks and readers [L11]', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    const chunk = fc.oneof(fc.uint8Array({ maxLength: 200_000 }), fc.string({ unit: 'binary' }));
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 8 }), fc.nat(8), async (chunks, joinAt) => {
        const whole = Buffer.concat(chunks.map((one) => Buffer.from(one as string)));
        const writer = logs.begin(KEY);
        const readers: Promise<string>[] = [];
        for (const [i, one] of chunks.entries()) {
          if (i === joinAt) readers.push(text(writer.log));
          const written = writer.write(one);
          if (i % 2) await written;
        }
        await writer.end();
        readers.push(text(await logs.find(KEY)));
        for (const reader of readers) expect(await reader).toBe(whole.toString());
      }),
      { numRuns: 50 },
    );
  });

  it('refuses to be written after its end', async () => {
    await using dir = await tempDir();
    const writer = new StepLogs(toHostPath(dir.path)).begin(KEY);
    await writer.end();
    await expect(writer.write('late')).rejects.toThrow('written after its end');
  });
});
