import { mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expectErr, expectOk, needs, tempDir, tmpfsVolume } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isDiskFull, type StepKey, toHostPath, toStepKey } from '../../src/index.ts';
import type { LogWriter, StepLog } from '../../src/log/step-log.ts';
import { StepLogs } from '../../src/log/step-logs.ts';

const KEY = toStepKey('ab'.repeat(32));

async function text(log: StepLog | undefined, from = 0): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of log?.follow({ from }) ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function begin(logs: StepLogs): LogWriter {
  return logs.begin(KEY, { limit: Number.POSITIVE_INFINITY });
}

async function find(logs: StepLogs, key: StepKey = KEY): Promise<StepLog | undefined> {
  return expectOk(await logs.find(key));
}

describe('a step log', () => {
  it('gives every reader every byte, whenever it joins [L1]', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    const writer = begin(logs);
    const early = text(await find(logs));
    await writer.write('one ');
    const middle = text(await find(logs));
    await writer.write(Buffer.from('two'));
    const held = await find(logs);
    await writer.end();
    const late = text(await find(logs));
    expect(await Promise.all([early, middle, late, text(held)])).toEqual(Array(4).fill('one two'));
  });

  it('starts a reader at any offset', async () => {
    await using dir = await tempDir();
    const writer = begin(new StepLogs(toHostPath(dir.path)));
    await writer.write('0123456789');
    const reading = text(writer.log, 7);
    await writer.end();
    expect(await reading).toBe('789');
    expect(await text(writer.log, 10)).toBe('');
  });

  it('of an attempt stays readable for those who have it when the next attempt begins [L1]', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    const first = begin(logs);
    await first.write('first');
    const reader = first.log.follow()[Symbol.asyncIterator]();
    const begun = await reader.next();
    await first.end();
    const second = begin(logs);
    await second.write('second');
    await second.end();
    expect(Buffer.from(begun.value).toString()).toBe('first');
    expect((await reader.next()).done).toBe(true);
    expect(await text(await find(logs))).toBe('second');
  });

  it('of a step that ended before it printed is empty [L4]', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    await begin(logs).end();
    expect(await text(await find(logs))).toBe('');
    expect(await find(logs, toStepKey('cd'.repeat(32)))).toBeUndefined();
  });

  it('lets a reader go when it is aborted', async () => {
    await using dir = await tempDir();
    const writer = begin(new StepLogs(toHostPath(dir.path)));
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
        const writer = begin(logs);
        const readers: Promise<string>[] = [];
        for (const [i, one] of chunks.entries()) {
          if (i === joinAt) readers.push(text(writer.log));
          const written = writer.write(one);
          if (i % 2) await written;
        }
        await writer.end();
        readers.push(text(await find(logs)));
        for (const reader of readers) expect(await reader).toBe(whole.toString());
      }),
      { numRuns: 50 },
    );
  });

  it('of an attempt that another one follows at once never takes the place of the other (the EEXIST of 1 in 600)', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    for (let round = 0; round < 50; round += 1) {
      const attempts = [begin(logs), begin(logs), begin(logs)];
      const order = [round % 3, (round + 1) % 3, (round + 2) % 3];
      await Promise.all(order.map((i) => attempts[i]?.write(`attempt ${i}`)));
      await Promise.all(order.map((i) => attempts[i]?.end()));
      expect(await text(await find(logs))).toBe('attempt 2');
      expect(await text(attempts[0]?.log)).toBe('attempt 2');
    }
    expect(await readdir(join(dir.path, 'ab'))).toEqual([`${KEY}.log`]);
  });

  it('stays with a reader that waited for it while another attempt took its place', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    const first = begin(logs);
    const reading = text(first.log);
    const second = begin(logs);
    await second.write('second');
    await first.write('first');
    await first.end();
    expect(await reading).toBe('first');
    await second.end();
    expect(await text(await find(logs))).toBe('second');
  });

  it('lets its readers go though its end cannot be noted', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path), {
      onEnded: () => {
        throw new Error('disk I/O error');
      },
    });
    const writer = begin(logs);
    await writer.write('all');
    const reading = text(writer.log);
    await writer.end();
    expect(await reading).toBe('all');
    expect(await text(await find(logs))).toBe('all');
  });

  it('refuses to be written after its end', async () => {
    await using dir = await tempDir();
    const writer = begin(new StepLogs(toHostPath(dir.path)));
    await writer.end();
    await expect(writer.write('late')).rejects.toThrow('written after its end');
    await writer.end();
  });

  it('refuses a write that comes while it ends, and keeps those before', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    const writer = begin(logs);
    const early = writer.write('early');
    const ending = writer.end();
    await expect(writer.write('late')).rejects.toThrow('written after its end');
    await Promise.all([early, ending]);
    expect(await text(await find(logs))).toBe('early');
  });
});

describe('a log that the disk does not take', () => {
  it('fails the write and names the file, and takes the next write when the reason is gone', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    await writeFile(join(dir.path, 'ab'), 'no directory');
    const writer = begin(logs);
    const reading = text(writer.log);
    await expect(writer.write('one ')).rejects.toThrow(/^the log .*ab\/(ab)+\.log cannot be written: E/);
    await rm(join(dir.path, 'ab'));
    await writer.write('two');
    await writer.end();
    expect(await reading).toBe('two');
    expect(await text(await find(logs))).toBe('two');
  });

  it('is told to its readers, not to the one who ends it', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    await writeFile(join(dir.path, 'ab'), 'no directory');
    const writer = begin(logs);
    const reading = text(writer.log);
    reading.catch(() => {});
    await writer.end();
    await expect(reading).rejects.toThrow('cannot be written');
  });

  it('is a failure where a directory is in its place, until the step runs again', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    await mkdir(join(dir.path, 'ab', `${KEY}.log`, 'deep'), { recursive: true });
    expect(expectErr(await logs.find(KEY))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('is not a file'),
    });
    const writer = begin(logs);
    await writer.write('again');
    await writer.end();
    expect(await text(await find(logs))).toBe('again');
  });

  it('tells a reader that another program cut it off, and does not spin', async () => {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    const writer = begin(logs);
    await writer.write('0123456789');
    const reader = writer.log.follow({ from: 5 })[Symbol.asyncIterator]();
    await truncate(join(dir.path, 'ab', `${KEY}.log`), 3);
    await expect(reader.next()).rejects.toThrow('was cut off by another program');
    await writer.end();
  });
});

needs('root')('a log on a disk that is full', () => {
  it('says so in the words of the system, keeps what was written, and goes on when there is room', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 1 });
    const logs = new StepLogs(toHostPath(disk.path));
    const writer = begin(logs);
    await writer.write('first\n');
    await writeFile(join(disk.path, 'others'), Buffer.alloc(2 ** 20)).catch(() => {});
    const refused = await writer.write(Buffer.alloc(2 ** 20)).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'ENOSPC',
      errno: -constants.errno.ENOSPC,
      syscall: 'write',
      message: expect.stringContaining('cannot be written'),
    });
    expect(isDiskFull(refused as Error)).toBe(true);
    await rm(join(disk.path, 'others'));
    await writer.write('last\n');
    await writer.end();
    expect(await text(await find(logs))).toMatch(/^first\n\0*last\n$/);
  });

  it('keeps the beginning where there is no room to put the end behind it, and tells its readers', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 1 });
    const logs = new StepLogs(toHostPath(disk.path));
    const writer = logs.begin(KEY, { limit: 400 * 1024 });
    const reading = text(writer.log);
    reading.catch(() => {});
    for (let i = 0; i < 100; i += 1) await writer.write(`${'x'.repeat(10_000)}\n`);
    await writeFile(join(disk.path, 'others'), Buffer.alloc(2 ** 20)).catch(() => {});
    await writer.end();
    await expect(reading).rejects.toThrow('ENOSPC');
    expect(await text(await find(logs))).toMatch(
      /^(x+\n)+\[\.\.\. .*left out: the log is limited to .*\]\n[x\n]*$/,
    );
  });

  it('leaves no log of an earlier attempt in its place', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 1, inodes: 50 });
    const logs = new StepLogs(toHostPath(disk.path));
    const first = begin(logs);
    await first.write('an error of yesterday');
    await first.end();
    for (let i = 0; i < 50; i += 1) await writeFile(join(disk.path, `${i}`), '').catch(() => {});
    await begin(logs).end();
    expect(await find(logs)).toBeUndefined();
  });
});
