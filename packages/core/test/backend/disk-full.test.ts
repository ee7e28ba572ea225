import { constants } from 'node:os';
import { expect, it } from 'vitest';
import { isDiskFull } from '../../src/backend/disk-full.ts';

it('takes a full disk and a used-up quota for full, which Node has no name for', () => {
  const quota = Object.assign(new Error('write'), {
    errno: -constants.errno.EDQUOT,
    code: 'Unknown system error',
  });
  expect(isDiskFull(quota)).toBe(true);
  expect(isDiskFull(Object.assign(new Error('write'), { errno: -28, code: 'ENOSPC' }))).toBe(true);
  expect(isDiskFull(Object.assign(new Error('open'), { errno: -2, code: 'ENOENT' }))).toBe(false);
});
