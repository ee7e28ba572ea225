import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogSink } from '../../src/index.ts';
import { maskSecrets } from '../../src/log/masked-log.ts';
import { secretPatterns } from '../../src/log/secret-patterns.ts';

describe('a log that masks secrets', () => {
  it.each([
    ['a value', ['s3cret'], 'token s3cret, again s3cret.', 'token ***, again ***.'],
    ['values that follow each other', ['s3cret'], '-s3crets3cret-', '-***-'],
    ['values that overlap', ['abcdef', 'efghij'], '-abcdefghij-', '-***-'],
    ['a value that overlaps with itself', ['ababa'], '-abababa-', '-***-'],
    ['a value in another', ['abcdefgh', 'cdef'], 'abcdefg abcdefgh cdef', 'ab***g *** ***'],
    ['one value that begins as another', ['abcd', 'abcdefgh'], 'abcdef abcdefgh', '***ef ***'],
    ['one value that ends as another', ['efgh', 'abcdefgh'], 'cdefgh abcdefgh', 'cd*** ***'],
    [
      'several values in one that comes later',
      ['abcd', 'abcd-abcd-abcd+'],
      'abcd -abcd-abcd-abcd+ abcd-abcd-',
      '*** -*** ***-***-',
    ],
    [
      'control characters, which are no blanks',
      ['\b123', '\u0000456'],
      '\b123 123 \u0000456 456',
      '*** 123 *** 456',
    ],
    ['what begins as a value and is none', ['abcdabcx'], 'abcdabcdabcx abcdabcdab', 'abcd*** abcdabcdab'],
    ['a value of four bytes, and none shorter', ['1234', 'abc', ''], '1234 abc', '*** abc'],
    ['a value without the blanks around it', ['\r\n \ts3cret\v\f \r\n'], '[s3cret]\n', '[***]\n'],
    ['a value with blanks in it', ['a b c'], 'a b c, a, c', '***, a, c'],
    ['no value of blanks alone', [' \n\t \n '], 'a \n\t \n b', 'a \n\t \n b'],
    ['lines of eight bytes, and none shorter', ['12345678\nabcdefg'], '12345678 abcdefg', '*** abcdefg'],
    ['short lines in the whole value', ['{\n"key": 12\n}'], '[{\n"key": 12\n}] }', '[***] }'],
    [
      'a value whose lines end otherwise',
      ['12345678\r\n  abcdefgh\n'],
      '12345678\n\tabcdefgh\r\n',
      '***\n\t***\r\n',
    ],
    ['an empty line between others', ['12345678\n\nabcdefgh'], 'abcdefgh-\n\n-12345678', '***-\n\n-***'],
    ['letters of several bytes', ['żółw'], 'ż żółw ó', 'ż *** ó'],
  ])('masks %s', async (_, values, printed, shown) => {
    expect(await masked(values, [Buffer.from(printed)])).toBe(shown);
    expect(await masked(values, bytewise(printed))).toBe(shown);
    expect(await masked(values, [printed])).toBe(shown);
  });

  it('masks every byte of a value, whatever bytes they are', async () => {
    const value = Buffer.from([0xff, 0x00, 0x80, 0x21]);
    const log = written();
    const { output, flush } = maskSecrets(log, [value]);
    await output.write(Buffer.concat([Buffer.from('<'), value, Buffer.from([0x80, 0x3e])]));
    await flush();
    expect(log.bytes()).toEqual(Buffer.concat([Buffer.from('<***'), Buffer.from([0x80, 0x3e])]));
  });

  it('is the log itself where there is nothing to mask', async () => {
    const log = written();
    for (const values of [[], [Buffer.from('abc'), Buffer.from('\n')]]) {
      const { output, flush } = maskSecrets(log, values);
      expect(output).toBe(log);
      await flush();
    }
    expect(log.chunks).toEqual([]);
  });

  it('takes the place of a secret that is asked for at many places only once', async () => {
    const value = Buffer.alloc(1_000_000, 'x');
    expect(await masked(Array(10_000).fill(value), ['x'.repeat(1_000_000)])).toBe('***');
  });

  it('gives on at once what cannot belong to a value', async () => {
    const log = written();
    const { output, flush } = maskSecrets(log, [Buffer.from('abcdabcx')]);
    const shown: string[] = [];
    for (const letter of '-abcdabcdabcx+ab') {
      await output.write(letter);
      shown.push(log.text());
    }
    await flush();
    const [held, second, end] = ['-', '-abcd', '-abcd***'];
    const waiting = [...Array(8).fill(held), ...Array(4).fill(second)];
    expect(shown).toEqual([...waiting, end, `${end}+`, `${end}+`, `${end}+`]);
    expect(log.text()).toBe('-abcd***+ab');
    expect(log.chunks.filter((chunk) => chunk.length === 0)).toEqual([]);
  });

  it('shows a mask as soon as the value is whole, also where a longer one may come', async () => {
    const log = written();
    const { output } = maskSecrets(log, [Buffer.from('abcd'), Buffer.from('abcdefgh')]);
    await output.write('abcde');
    expect(log.text()).toBe('***');
    await output.write('fgh!');
    expect(log.text()).toBe('***!');
  });

  it('begins anew when it was flushed', async () => {
    const log = written();
    const { output, flush } = maskSecrets(log, [Buffer.from('abcd')]);
    await output.write('ab');
    await flush();
    await flush();
    await output.write('cd abcd');
    expect(log.text()).toBe('abcd ***');
  });

  it('keeps nothing of a chunk, which may be used again', async () => {
    const log = written();
    const { output, flush } = maskSecrets(log, [Buffer.from('abcdefgh')]);
    const chunk = Buffer.from('-abcd');
    await output.write(chunk);
    chunk.fill('?');
    await flush();
    expect(log.text()).toBe('-abcd');
  });

  it('fails as the log does', async () => {
    const full = async (): Promise<void> => Promise.reject(new Error('full'));
    const { output, flush } = maskSecrets({ write: full }, [Buffer.from('abcd')]);
    await expect(output.write('-ab')).rejects.toThrow('full');
    await expect(flush()).rejects.toThrow('full');
  });

  it('shows the same however the output is cut, and holds back no more than it must', async () => {
    const letters = (sizes: { minLength: number; maxLength: number }) =>
      fc.array(fc.constantFrom('a', 'b', '\n'), sizes).map((all) => all.join(''));
    const values = fc.array(letters({ minLength: 0, maxLength: 20 }), { maxLength: 4 });
    const printed = fc.array(letters({ minLength: 0, maxLength: 15 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(values, printed, fc.nat(), async (secrets, chunks, at) => {
        const secret = secrets[at % Math.max(1, secrets.length)] ?? '';
        const all = [...chunks.slice(0, at % 8), ...halves(secret, at), ...chunks.slice(at % 8)];
        const patterns = secretPatterns(secrets.map((value) => Buffer.from(value))).map(String);
        const log = written();
        const { output, flush } = maskSecrets(
          log,
          secrets.map((value) => Buffer.from(value)),
        );
        let text = '';
        for (const chunk of all) {
          text += chunk;
          await output.write(chunk);
          expect(log.text()).toBe(maskedByHand(text, patterns, { isEnd: false }));
        }
        await flush();
        expect(log.text()).toBe(maskedByHand(text, patterns, { isEnd: true }));
      }),
      { numRuns: 500 },
    );
  });

  it('begins at once with a value of many lines', async () => {
    const lines = Array.from({ length: 30_000 }, (_, i) =>
      createHash('sha256').update(`${i}`).digest('base64'),
    );
    const value = Buffer.from(lines.join('\n'));
    const start = process.cpuUsage();
    const { output, flush } = maskSecrets(written(), [value]);
    await output.write('-');
    await flush();
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(1200);
  });

  it('takes no longer for long values that are nearly printed again and again', async () => {
    const long = 'a'.repeat(50_000);
    const start = process.cpuUsage();
    const shown = await masked(
      [`${long}b`, `${long.slice(1)}c`, `b${long}`],
      [long, long, 'b', ...bytewise(long.slice(9))],
    );
    expect(shown).toBe(`${long}***${'a'.repeat(49_991)}`);
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(2000);
  });
});

/** What the definition says: bytes in any occurrence of any pattern are masked. */
function maskedByHand(
  text: string,
  patterns: readonly string[],
  { isEnd }: { readonly isEnd: boolean },
): string {
  const secret = Array.from(text, () => false);
  for (const pattern of patterns)
    for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + 1))
      secret.fill(true, at, at + pattern.length);
  const beginnings = patterns.flatMap((pattern) => Array.from(pattern, (_, i) => pattern.slice(0, i + 1)));
  const held = isEnd
    ? 0
    : Math.max(0, ...beginnings.filter((each) => text.endsWith(each)).map(({ length }) => length));
  let until = text.length - held;
  while (secret[until]) until += 1;
  const shown = Array.from(text.slice(0, until), (letter, at) => (secret[at] ? '*' : letter)).join('');
  return shown.replaceAll(/\*+/g, '***');
}

function halves(text: string, at: number): string[] {
  const middle = at % (text.length + 1);
  return [text.slice(0, middle), text.slice(middle)];
}

function bytewise(text: string): Uint8Array[] {
  return [...Buffer.from(text)].map((byte) => Uint8Array.of(byte));
}

async function masked(
  values: readonly (string | Uint8Array)[],
  chunks: readonly (Uint8Array | string)[],
): Promise<string> {
  const log = written();
  const { output, flush } = maskSecrets(
    log,
    values.map((value) => (typeof value === 'string' ? Buffer.from(value) : value)),
  );
  for (const chunk of chunks) await output.write(chunk);
  await flush();
  return log.text();
}

function written(): LogSink & { readonly chunks: Uint8Array[]; bytes(): Buffer; text(): string } {
  const chunks: Uint8Array[] = [];
  return {
    chunks,
    write: async (chunk) => void chunks.push(Buffer.from(chunk)),
    bytes: () => Buffer.concat(chunks),
    text: () => Buffer.concat(chunks).toString(),
  };
}
