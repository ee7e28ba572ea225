import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { ok } from 'neverthrow';
import { expect, it } from 'vitest';
import { Leases } from '../../src/cache/leases.ts';
import { type ObtainRequest, StepTable } from '../../src/cache/step-table.ts';
import { cancelled, err, type StepKey, toHostPath, toStepKey } from '../../src/index.ts';
import { StepLogs } from '../../src/log/step-logs.ts';

const KEY: StepKey = toStepKey('ab'.repeat(32));
const WANTED: Omit<ObtainRequest<never>, 'signal' | 'produce'> = {
  key: KEY,
  outlivesWaiter: true,
  logBytes: 1000,
  // A listener that reads keeps the log open beyond its end.
  onStart: () => {},
  onQueue: (_, log) =>
    void log
      .follow()
      [Symbol.asyncIterator]()
      .next()
      .catch(() => {}),
};

// The two made the file at the same time: EEXIST, or one without a name for the log that counts; 1 of 600 builds.
it('a step that starts while its cancelled attempt ends has its log for itself', async () => {
  for (let round = 0; round < 100; round += 1) {
    await using dir = await tempDir();
    const logs = new StepLogs(toHostPath(dir.path));
    const table = new StepTable<never>({
      leases: new Leases(),
      beginLog: (key, limits) => logs.begin(key, limits),
    });
    const stop = new AbortController();
    const queued = table.obtain({ ...WANTED, signal: stop.signal, produce: untilAborted }, () => undefined);
    stop.abort(new Error('not wanted'));
    const { signal } = new AbortController();
    const writes: ObtainRequest<never>['produce'] = async ({ log }) => {
      await log.write('the second');
      return ok();
    };
    const second = table.obtain({ ...WANTED, signal, produce: writes }, () => undefined);
    expect(expectErr(await queued)).toMatchObject({ type: 'cancelled' });
    expectOk(await second);
    expect(await readFile(join(dir.path, 'ab', `${KEY}.log`), 'utf8')).toBe('the second');
  }
});

/** A step that waits for its turn. */
const untilAborted: ObtainRequest<never>['produce'] = async ({ signal }) => err(cancelled(signal));
