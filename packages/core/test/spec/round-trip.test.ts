import { expectErr, expectOk } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkSpec, parseSpec, printSpec, type Spec, titleOf, toDockerfile } from '../../src/spec/index.ts';
import { anySpec, anyText } from './arbitrary-spec.ts';

const encoder = new TextEncoder();

describe('printing', () => {
  it('gives text that is read as the same spec, for every spec', () => {
    fc.assert(
      fc.property(anySpec(), (spec) => {
        expect(expectOk(parseSpec(printSpec(spec)))).toEqual(spec);
      }),
      { numRuns: 500 },
    );
  });

  it('is the same after another round', () => {
    fc.assert(
      fc.property(anySpec(), (spec) => {
        const printed = printSpec(spec);
        expect(printSpec(expectOk(parseSpec(printed)))).toBe(printed);
      }),
    );
  });

  it('gives specs that JSON keeps', () => {
    fc.assert(
      fc.property(anySpec(), (spec) => {
        const kept: Spec = JSON.parse(JSON.stringify(spec));
        expectOk(checkSpec(kept));
        expect(kept).toEqual(spec);
      }),
    );
  });

  it('gives other text for another spec (C15)', () => {
    fc.assert(
      fc.property(anySpec(), anySpec(), (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        expect(printSpec(one) === printSpec(other)).toBe(isSame);
      }),
    );
  });

  it('shows a title of one line and at most 100 characters for every op', () => {
    fc.assert(
      fc.property(anySpec(1), (spec) => {
        for (const op of [...spec.ops, { op: 'base', image: spec.from } as const]) {
          const title = titleOf(op);
          expect([...title].length).toBeLessThanOrEqual(100);
          expect(title).not.toMatch(/[\p{Cc}\u2028\u2029\u202e]/u);
        }
      }),
    );
  });
});

describe('reading what is no spec', () => {
  it('never throws on random bytes, and says a place in the text (C8)', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), expectPlaceInside), { numRuns: 2000 });
  });

  it('never throws on random pieces of the language (C8)', () => {
    const pieces = [
      '(',
      ')',
      ' ',
      '"',
      '#;',
      '#|',
      '|#',
      ';',
      '\n',
      'from',
      'run',
      'copy',
      '(shell x)',
      '(src a)',
      'build',
      '\\',
      '\\x4',
      '\\255',
      'a',
      '(from a)',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 40 }), (parts) =>
        expectPlaceInside(encoder.encode(parts.join(''))),
      ),
      { numRuns: 3000 },
    );
  });

  it('never throws on a spec with changed, missing and repeated bytes (C8)', () => {
    const change = fc.record({
      at: fc.nat(),
      drop: fc.nat({ max: 8 }),
      insert: fc.oneof(
        fc.uint8Array({ maxLength: 4 }),
        anyText.map((text) => encoder.encode(text)),
      ),
    });
    fc.assert(
      fc.property(anySpec(1), fc.array(change, { minLength: 1, maxLength: 3 }), (spec, changes) => {
        let bytes = encoder.encode(printSpec(spec));
        for (const { at, drop, insert } of changes) {
          const start = at % (bytes.length + 1);
          bytes = Uint8Array.from([...bytes.subarray(0, start), ...insert, ...bytes.subarray(start + drop)]);
        }
        expectPlaceInside(bytes);
      }),
      { numRuns: 1500 },
    );
  });

  it('never throws on strings that are no Unicode', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 0xd800, max: 0xdfff }), (text, half) => {
        const { line, column } = expectErr(
          parseSpec(`((from "${text.replaceAll('"', '')}${String.fromCharCode(half)}"))`),
        );
        expect([line, column].every((n) => n !== undefined && n >= 1)).toBe(true);
      }),
    );
  });

  it.each(['(', '(build a ', '#|', '#;', '"', ')', '(from (build '])(
    'refuses %j repeated a million times within seconds',
    (piece) => {
      const started = performance.now();
      expectErr(parseSpec(piece.repeat(1_000_000)));
      expect(performance.now() - started).toBeLessThan(10_000);
    },
  );
});

describe('checkSpec', () => {
  it('never throws on what JSON can hold', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(checkSpec(value as never).isErr()).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('never throws on a spec with one value replaced', () => {
    fc.assert(
      fc.property(anySpec(1), fc.nat(), fc.jsonValue(), (spec, at, value) => {
        const result = checkSpec(replaceValue(spec, { at, value }) as never);
        if (result.isErr()) expect(result.error.message).not.toBe('');
      }),
      { numRuns: 1000 },
    );
  });
});

describe('toDockerfile', () => {
  it('never throws on a spec that breaks no rule', () => {
    fc.assert(
      fc.property(
        anySpec(),
        fc.boolean(),
        fc.constantFrom('\\' as const, '`' as const),
        (spec, buildkit, escapeChar) => {
          expect(toDockerfile(spec, { buildkit, escape: escapeChar }).text).toMatch(/^FROM /m);
        },
      ),
    );
  });
});

function expectPlaceInside(bytes: Uint8Array): void {
  const result = parseSpec(bytes);
  if (result.isOk()) return;
  const { message, line, column } = result.error;
  expect(message).not.toBe('');
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  const text = lines[(line ?? 0) - 1];
  expect(text, `line ${line} of ${lines.length}`).toBeDefined();
  expect(column).toBeGreaterThanOrEqual(1);
  expect(column).toBeLessThanOrEqual((text?.length ?? 0) + 1);
}

/** A copy of `root` in which the value that is met as number `at` is another. */
function replaceValue(root: unknown, { at, value }: { at: number; value: unknown }): unknown {
  let count = 0;
  JSON.stringify(root, (_, old) => {
    count += 1;
    return old;
  });
  let seen = 0;
  return JSON.parse(
    JSON.stringify(root, (_, old) => {
      seen += 1;
      return seen === (at % count) + 1 ? value : old;
    }),
  );
}
