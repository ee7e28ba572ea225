import { afterEach, describe, expect, it, vi } from 'vitest';
import { bugFailure } from '../src/action.ts';
import { storeFailure } from '../src/build-failure.ts';

describe('what nobody expected', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('is called a bug, without a stack trace, and is nobody’s usage', () => {
    vi.stubEnv('SNAPSTEP_DEBUG', '');
    const { exitCode, message } = bugFailure(new Error('a row is missing'));
    expect(exitCode).toBe(3);
    expect(message).toBe(
      'this is a bug in snapstep, please report it: a row is missing (SNAPSTEP_DEBUG=1 shows where)',
    );
  });

  it('comes with its stack where SNAPSTEP_DEBUG asks for it', () => {
    vi.stubEnv('SNAPSTEP_DEBUG', '1');
    expect(bugFailure(new Error('a row is missing')).message).toMatch(/\n +at .*action\.test\.ts/);
    expect(bugFailure('just a word').message).toContain('just a word');
  });
});

describe('what a store says', () => {
  it.each([
    ['not-found', 2],
    ['busy', 3],
    ['no-space', 3],
    ['failed', 3],
  ] as const)('%s exits with %i', (type, exitCode) => {
    const error = { type, message: 'so it is', key: '0'.repeat(64) } as Parameters<typeof storeFailure>[0];
    expect(storeFailure(error)).toEqual({ exitCode, message: 'so it is' });
  });
});
