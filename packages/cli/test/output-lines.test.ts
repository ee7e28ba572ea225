import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lineSplitter } from '../src/progress/line-splitter.ts';
import { sanitizeLine } from '../src/progress/sanitize.ts';

describe('the lines of a log', () => {
  it('L11: do not depend on where its chunks end', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '漢', '😀', '\n', '\t', ' ') });
    fc.assert(
      fc.property(text, fc.array(fc.nat({ max: 40 })), (log, cuts) => {
        const splitter = lineSplitter();
        const lines = chunksOf(Buffer.from(log), cuts).flatMap((chunk) => splitter.push(chunk));
        expect([...lines, splitter.rest()].join('\n')).toBe(log);
      }),
    );
  });

  it('survive any bytes without a control character left in them', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (chunks) => {
        const splitter = lineSplitter();
        const lines = [...chunks.flatMap((chunk) => splitter.push(chunk)), splitter.rest()].map(sanitizeLine);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
        expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      }),
    );
  });

  it('keep of a progress bar only its newest state, in bounded memory', () => {
    const splitter = lineSplitter();
    for (let percent = 0; percent <= 100; percent += 1) {
      expect(splitter.push(Buffer.from(`\r${percent}% ${'#'.repeat(1000)}`))).toEqual([]);
      expect(splitter.rest().length).toBeLessThan(1100);
    }
    expect(splitter.push(Buffer.from('\n')).map(sanitizeLine)).toEqual([`100% ${'#'.repeat(1000)}`]);
  });

  it('keep a line that ends with CR LF, also when a chunk ends between the two', () => {
    const splitter = lineSplitter();
    expect(
      [...splitter.push(Buffer.from('one\r')), ...splitter.push(Buffer.from('\ntwo\r\n'))].map(sanitizeLine),
    ).toEqual(['one', 'two']);
  });

  it('are cut where a step prints no newline at all', () => {
    const splitter = lineSplitter();
    const lines = splitter.push(Buffer.alloc(100_000, 'x'));
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.join('').length + splitter.rest().length).toBe(100_000);
  });

  it.each([
    ['\u001b[31mred\u001b[0m', 'red'],
    ['10%\r100%', '100%'],
    ['\u001b[2J\u001b[H\u001b]0;title\u0007text', 'text'],
    ['a\u0000b\u0008c\u009bd', 'abcd'],
    ['a\tb', 'a    b'],
    ['\u202eevil', 'evil'],
  ])('are shown without control sequences: %j', (line, shown) => {
    expect(sanitizeLine(line)).toBe(shown);
  });
});

function chunksOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const cut of cuts) {
    chunks.push(bytes.subarray(at, at + cut));
    at += cut;
  }
  return [...chunks, bytes.subarray(at)];
}
