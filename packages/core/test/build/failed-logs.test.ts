import { describe, expect, it } from 'vitest';
import { FailedLogs } from '../../src/build/failed-logs.ts';

describe('the limits of the logs of steps that failed', () => {
  it('are a week and 256 MiB, or what was asked for of the two', () => {
    const [maxAgeMs, maxBytes] = [604_800_000, 268_435_456];
    expect(new FailedLogs()).toMatchObject({ maxAgeMs, maxBytes });
    expect(new FailedLogs({ maxAgeMs: 5 })).toMatchObject({ maxAgeMs: 5, maxBytes });
    expect(new FailedLogs({ maxBytes: 6 })).toMatchObject({ maxAgeMs, maxBytes: 6 });
  });

  it('may be nothing, and not less', () => {
    expect(new FailedLogs({ maxAgeMs: 0, maxBytes: 0 })).toMatchObject({ maxAgeMs: 0, maxBytes: 0 });
    for (const wrong of [-1, Number.NaN]) {
      expect(() => new FailedLogs({ maxAgeMs: wrong })).toThrow(`keepFailedLogs has ${wrong} and 268435456`);
      expect(() => new FailedLogs({ maxBytes: wrong })).toThrow(`keepFailedLogs has 604800000 and ${wrong}`);
    }
  });
});

describe('a look at the logs of steps that failed', () => {
  it('is due when more than an eighth of what may be kept has come since the last one', () => {
    const logs = new FailedLogs({ maxBytes: 80 });
    for (const _round of [1, 2]) {
      expect(logs.isSweepDue).toBe(false);
      logs.added(4);
      logs.added(6);
      expect(logs.isSweepDue).toBe(false);
      logs.added(1);
      expect(logs.isSweepDue).toBe(true);
      logs.swept();
    }
    expect(logs.isSweepDue).toBe(false);
  });
});
