import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk, tempDir } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHostPath, toStepKey } from '../../src/index.ts';
import type { StepLog } from '../../src/log/step-log.ts';
import { StepLogs } from '../../src/log/step-logs.ts';

const KEY = toStepKey('ab'.repeat(32));
const MIB = 1024 * 1024;

const GAP =
  /\[\.\.\. (?<missing>[\d,]+) bytes left out: the log is limited to [\d,]+ bytes \.\.\.\]\n(?<tail>.*)$/s;

interface Place extends AsyncDisposable {
  readonly logs: StepLogs;
  readonly directory: string;
}

async function place(): Promise<Place> {
  const dir = await tempDir();
  return {
    logs: new StepLogs(toHostPath(dir.path)),
    directory: dir.path,
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString('latin1');
}

async function saved(logs: StepLogs, from = 0): Promise<string> {
  const log = expectOk(await logs.find(KEY)) as StepLog;
  return collect(log.follow({ from }));
}

/** Gives back each next chunk on demand. */
function reader(log: StepLog): AsyncDisposable & { readonly next: () => Promise<string | undefined> } {
  const chunks = log.watch()[Symbol.asyncIterator]();
  return {
    [Symbol.asyncDispose]: async () => void (await chunks.return?.()),
    next: async () => {
      const { done, value } = await chunks.next();
      return done ? undefined : Buffer.from(value).toString('latin1');
    },
  };
}

describe('the limit of a log', () => {
  it('keeps the beginning and the end, and says how many bytes are missing, for any writes', async () => {
    await using at = await place();
    const line = fc.oneof(
      fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 40 }),
      fc.constant('x'.repeat(300)),
    );
    const lines = fc.array(line, { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(lines, fc.integer({ min: 1, max: 200 }), async (chunks, limit) => {
        const whole = chunks.join('');
        const writer = at.logs.begin(KEY, { limit });
        const early = collect(writer.log.follow());
        for (const chunk of chunks) await writer.write(chunk);
        await writer.end();
        const log = await saved(at.logs);
        expect(await early).toBe(log);
        if (whole.length <= limit) {
          expect(log).toBe(whole);
          return;
        }
        const [gap = '', missing = '', tail = ''] = GAP.exec(log) ?? [];
        const head = whole.slice(0, whole.length - tail.length - Number(missing.replaceAll(',', '')));
        expect(log).toBe(head + (/(^|\n)$/.test(head) ? '' : '\n') + gap);
        expect(whole.endsWith(tail)).toBe(true);
        expect(head.length).toBeLessThanOrEqual(limit / 2);
        expect(head.length + tail.length).toBeLessThanOrEqual(limit);
        expect(head.length + tail.length).toBeGreaterThanOrEqual(limit * 0.75 - 2);
      }),
      { numRuns: 300 },
    );
  });

  it('leaves nothing out that fits, also where the beginning ends with a line before the half', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 8 });
    await writer.write('aa\naaaaa');
    await writer.end();
    expect(await saved(at.logs)).toBe('aa\naaaaa');
  });

  it('cuts where lines end', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 100 });
    for (let i = 100; i < 200; i += 1) await writer.write(`line ${i}\n`);
    await writer.end();
    expect(await saved(at.logs)).toBe(
      [100, 101, 102, 103, 104].map((i) => `line ${i}\n`).join('') +
        '[... 801 bytes left out: the log is limited to 100 bytes ...]\n' +
        [194, 195, 196, 197, 198, 199].map((i) => `line ${i}\n`).join(''),
    );
  });

  it('cuts no character in two where lines are long', async () => {
    await using at = await place();
    for (const text of ['é', '€', '𝄞']) {
      for (const limit of [60, 61, 62, 63, 64, 65, 66, 67]) {
        const writer = at.logs.begin(KEY, { limit });
        await writer.write(text.repeat(200));
        await writer.end();
        const log = Buffer.from(await saved(at.logs), 'latin1').toString();
        expect(log).not.toContain('\ufffd');
        expect(log.replaceAll(text, '')).toMatch(/^\n\[\.\.\. \d+ bytes left out: .* \.\.\.\]\n$/);
      }
    }
  });

  it('of one byte keeps the last byte', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 1 });
    await writer.write('abc');
    await writer.end();
    expect(await saved(at.logs)).toBe('[... 2 bytes left out: the log is limited to 1 bytes ...]\nc');
  });

  it('bounds the disk, also while the step runs and where one write is larger than all of it', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: MIB });
    await using reading = reader(writer.log);
    await writer.write(Buffer.alloc(8 * MIB, 'x'));
    await reading.next();
    for (let i = 0; i < 200; i += 1) await writer.write(Buffer.alloc(MIB / 8, 'x'));
    expect(await openBytes(at.directory)).toBeLessThan(MIB + 200);
    await writer.end();
    const log = await saved(at.logs);
    expect(log.length).toBeLessThan(MIB + 200);
  });

  it('says on the disk that the end is missing, until it is there: a builder may be killed', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 20 });
    await writer.write('0123456789abcdefghij0123456789');
    const crashed = new StepLogs(toHostPath(at.directory));
    expect(await saved(crashed)).toMatch(
      /^0123456789\n\[\.\.\. left out: .* the builder was killed, .*\]\n$/,
    );
    await writer.end();
    expect(await saved(crashed)).not.toContain('killed');
  });

  it('may change between two attempts', async () => {
    await using at = await place();
    for (const limit of [50, 500, 5]) {
      const writer = at.logs.begin(KEY, { limit });
      await writer.write('0123456789'.repeat(10));
      await writer.end();
    }
    expect(await saved(at.logs)).toBe('01\n[... 95 bytes left out: the log is limited to 5 bytes ...]\n789');
  });
});

describe('a reader of a log beyond its limit', () => {
  it('that is cut off anywhere goes on with the next byte, also after the end', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 100 });
    await writer.write('0123456789'.repeat(10));
    const reading = writer.log.follow()[Symbol.asyncIterator]();
    const first = Buffer.from((await reading.next()).value);
    await writer.write('abcdefghij'.repeat(10));
    await reading.return?.();
    await writer.end();
    const log = await saved(at.logs);
    expect(first.toString() + (await saved(at.logs, first.length))).toBe(log);
    for (let from = 0; from <= log.length; from += 1) {
      expect(await saved(at.logs, from)).toBe(log.slice(from));
    }
  });

  it('hears every byte while it keeps up, also those that are not kept', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 20 });
    await using reading = reader(writer.log);
    let heard = '';
    let printed = '';
    for (let i = 0; i < 100; i += 1) {
      const text = `${i} `;
      printed += text;
      await writer.write(text);
      while (heard.length < printed.length) heard += await reading.next();
    }
    expect(heard).toBe(printed);
    await writer.end();
    expect(await reading.next()).toBeUndefined();
  });

  it('that is too slow is told how many bytes it missed, and goes on', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 100 });
    await using reading = reader(writer.log);
    await writer.write('first\n');
    expect(await reading.next()).toBe('first\n');
    for (let i = 100; i < 200; i += 1) await writer.write(`line ${i}\n`);
    await writer.end();
    let heard = 'first\n';
    for (let next = await reading.next(); next !== undefined; next = await reading.next()) heard += next;
    expect(heard).toBe(await saved(at.logs));
  });

  it('that comes late to a step that goes on gets the beginning, the gap and what comes', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 100 });
    for (let i = 100; i < 200; i += 1) await writer.write(`line ${i}\n`);
    await using reading = reader(writer.log);
    let heard = '';
    while (!heard.endsWith('line 199\n')) heard += await reading.next();
    expect(heard).toMatch(
      /^(line 10\d\n)+\[\.\.\. \d+ bytes left out: the log is limited to 100 bytes \.\.\.\]\n(line 19\d\n)+$/,
    );
    await writer.write('the end\n');
    expect(await reading.next()).toBe('the end\n');
    await writer.end();
    expect(await reading.next()).toBeUndefined();
  });

  it('that never reads holds up nobody', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 1000 });
    await using stuck = reader(writer.log);
    await writer.write('first\n');
    await stuck.next();
    for (let i = 0; i < 1000; i += 1) await writer.write(`line ${i}\n`);
    await writer.end();
    expect(await saved(at.logs)).toMatch(/line 999\n$/);
  });

  it('is one of a hundred, each of which gets what is kept', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 1000 });
    const readers: Promise<string>[] = [];
    for (let i = 0; i < 1000; i += 1) {
      if (i % 10 === 0) readers.push(collect(writer.log.follow()));
      await writer.write(`line ${i}\n`);
    }
    await writer.end();
    const log = await saved(at.logs);
    for (const heard of await Promise.all(readers)) expect(heard).toBe(log);
  });

  it('can be let go in the middle of the tail', async () => {
    await using at = await place();
    const writer = at.logs.begin(KEY, { limit: 20 });
    const stop = new AbortController();
    const [kept, live] = [
      writer.log.follow({ signal: stop.signal }),
      writer.log.watch({ signal: stop.signal }),
    ];
    const readings = [collect(kept), collect(live)];
    for (let i = 0; i < 100; i += 1) await writer.write(`line ${i}\n`);
    stop.abort(new Error('enough'));
    for (const reading of readings) await expect(reading).rejects.toThrow('enough');
    await writer.end();
    expect(await saved(at.logs)).toMatch(/line 99\n$/);
  });
});

/** What the log takes on disk now, the file without a name included. */
async function openBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const fd of await readdir('/proc/self/fd')) {
    const found = await stat(`/proc/self/fd/${fd}`).catch(() => undefined);
    const path = await readlink(`/proc/self/fd/${fd}`).catch(() => '');
    if (found && path.startsWith(join(directory, 'ab'))) bytes += found.size;
  }
  return bytes;
}
