import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type StepKey, toHostPath, toStepKey } from '../../src/index.ts';
import type { StepLog } from '../../src/log/step-log.ts';
import { StepLogs } from '../../src/log/step-logs.ts';
import { openFilesBelow } from './open-files.ts';

const KEY = toStepKey('ab'.repeat(32));

interface Place extends AsyncDisposable {
  readonly logs: StepLogs;
  /** What was told of each log that ended. */
  readonly ended: readonly (readonly [key: StepKey, bytes: number])[];
  /** The paths of the files that this process has open here. */
  readonly openFiles: () => readonly string[];
  readonly names: () => Promise<readonly string[]>;
}

async function place(): Promise<Place> {
  const dir = await tempDir();
  const ended: [StepKey, number][] = [];
  return {
    logs: new StepLogs(toHostPath(dir.path), { onEnded: (key, bytes) => void ended.push([key, bytes]) }),
    ended,
    openFiles: () => openFilesBelow(dir.path),
    names: () => readdir(join(dir.path, 'ab')),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function saved(logs: StepLogs): Promise<string> {
  const log = expectOk(await logs.find(KEY)) as StepLog;
  const chunks: Uint8Array[] = [];
  for await (const chunk of log.follow()) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** What a watcher gets, piece by piece. */
function watch(log: StepLog, signal?: AbortSignal): () => Promise<string | undefined> {
  const chunks = log.watch(signal ? { signal } : {})[Symbol.asyncIterator]();
  return async () => {
    const { done, value } = await chunks.next();
    return done ? undefined : Buffer.from(value).toString();
  };
}

/** So many bytes, in whatever pieces they come. */
async function hear(next: () => Promise<string | undefined>, length: number): Promise<string> {
  let heard = '';
  while (heard.length < length) heard += await next();
  return heard;
}

function gap(bytes: number, limit: number): string {
  return `[... ${bytes} bytes left out: the log is limited to ${limit} bytes ...]\n`;
}

describe('what a log keeps', () => {
  it.each<readonly [what: string, limit: number, chunks: readonly string[], kept: string]>([
    ['all of it where the end begins with a short line', 16, ['aaaaaaaab\nccc'], 'aaaaaaaab\nccc'],
    ['all of it where one byte is beyond the half', 8, ['abcd', 'e'], 'abcde'],
    ['all but one byte', 8, ['abcd', 'efghi'], `abcd\n${gap(1, 8)}fghi`],
    [
      'in its order where the first half ended early, and a line comes that would have its place there',
      32,
      [`${'a'.repeat(12)}\n${'b'.repeat(15)}`, '\n\n\n'],
      `${'a'.repeat(12)}\n${'b'.repeat(15)}\n\n\n`,
    ],
  ])('is %s', async (_, limit, chunks, kept) => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit });
    for (const chunk of chunks) await writer.write(chunk);
    await writer.end();
    expect(await saved(at.logs)).toBe(kept);
    expect(at.ended).toEqual([[KEY, kept.length]]);
  });

  it('are bytes as well as text', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 100 });
    await writer.write(Uint8Array.of(0xe2, 0x82));
    await writer.write(Uint8Array.of(0xac));
    await writer.write(' is text');
    await writer.end();
    expect(await saved(at.logs)).toBe('€ is text');
  });

  it('is ended once, however often that is asked for', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 100 });
    await Promise.all([writer.end(), writer.end()]);
    await writer.end();
    expect(at.ended).toEqual([[KEY, 0]]);
  });

  it('is told of the attempt that goes on, also when an earlier one ends later', async () => {
    await using at = await place();
    const first = at.logs.begin(KEY, { limit: 100 });
    const second = at.logs.begin(KEY, { limit: 100 });
    await second.write('second ');
    await first.end();
    const log = expectOk(await at.logs.find(KEY)) as StepLog;
    expect(log.key).toBe(KEY);
    const next = watch(log);
    expect(await next()).toBe('second ');
    const waiting = next();
    await setImmediate();
    await second.write('attempt');
    expect(await waiting).toBe('attempt');
    await second.end();
  });
});

describe('the files of a log', () => {
  it('are one with a name and one without, beside each other, while the step runs', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 20 });
    await writer.write('0123456789'.repeat(5));
    expect(await at.names()).toEqual([`${KEY}.log`]);
    expect(at.openFiles()).toEqual([
      expect.stringMatching(/\.log$/),
      expect.stringMatching(/\.log\.tail\..* \(deleted\)$/),
    ]);
    await writer.end();
    expect(await at.names()).toEqual([`${KEY}.log`]);
  });

  it('are closed when the step has ended, or else when its last reader is done', async () => {
    await using at = await place();
    const alone = at.logs.begin(KEY, { limit: 20 });
    await alone.write('0123456789'.repeat(5));
    await alone.end();
    expect(at.openFiles()).toEqual([]);

    const read = at.logs.begin(KEY, { limit: 20 });
    await read.write('0123456789'.repeat(5));
    const next = watch(read.log);
    await next();
    await read.end();
    expect(at.openFiles()).toHaveLength(2);
    while ((await next()) !== undefined);
    expect(at.openFiles()).toEqual([]);
  });
});

describe('a watcher of a log', () => {
  it('is one of many of whom no warning is given', async () => {
    const warnings: Error[] = [];
    const hear = (warning: Error): void => void warnings.push(warning);
    process.on('warning', hear);
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 100 });
    const waiting = Array.from({ length: 20 }, () => watch(writer.log)());
    await setImmediate();
    await writer.write('text');
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['text']));
    process.off('warning', hear);
    expect(warnings).toEqual([]);
    await writer.end();
  });

  it('that waits is let go when it is aborted', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 100 });
    const stop = new AbortController();
    const waiting = watch(writer.log, stop.signal)();
    await setImmediate();
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await writer.end();
  });

  it('that is overtaken after half a line gets the gap on a line of its own', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 20 });
    const next = watch(writer.log);
    await writer.write('0123456789abc');
    await hear(next, 13);
    await writer.write('x'.repeat(100));
    expect(await next()).toBe(`\n${gap(95, 20)}`);
    expect(await hear(next, 5)).toBe('x'.repeat(5));
    await writer.end();
  });

  it('that is overtaken goes on in the middle of what is there, and at its beginning once the step has ended', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 100 });
    await writer.write('h'.repeat(50));
    const [early, late] = [watch(writer.log), watch(writer.log)];
    for (const next of [early, late]) await next();
    await writer.write('t'.repeat(10));
    for (const next of [early, late]) expect(await next()).toBe('t'.repeat(10));
    await writer.write('u'.repeat(200));
    expect(await early()).toBe(`\n${gap(175, 100)}`);
    expect(await hear(early, 25)).toBe('u'.repeat(25));
    await writer.end();
    expect(await late()).toBe(`\n${gap(150, 100)}`);
    expect(await hear(late, 50)).toBe('u'.repeat(50));
    for (const next of [early, late]) expect(await next()).toBeUndefined();
  });
});
