import { expect, test } from 'vitest';
import { isSettled } from '../src/file-digest.ts';

const READ = Date.parse('2026-03-04T05:06:07.900Z');

test.each([
  ['a moment before', '07.850Z', false],
  ['a fifth of a second before', '07.700Z', true],
  ['in the same second, on a disk that keeps whole seconds', '07.000Z', false],
  ['in the second before, on a disk that keeps every other one', '06.000Z', false],
  ['seconds before, on a disk that keeps whole ones', '05.000Z', true],
])(
  'the digest of a file that changed %s is kept only if another change would show (K7)',
  (_, time, isKept) => {
    const changed = BigInt(Date.parse(`2026-03-04T05:06:${time}`)) * 1_000_000n;
    expect(isSettled({ ctimeNs: changed, mtimeNs: changed }, READ)).toBe(isKept);
  },
);
