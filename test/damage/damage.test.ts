import { needs } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { NEEDS } from './case.ts';
import { runDamage } from './run.ts';
import type { Reported } from './table.ts';

/** A few of each kind that take little time; `npm run test:damage` has all of them. */
const SHORT: readonly string[] = [
  'file:builder/hashes.db:garbled:open:rsync',
  'file:builder/index.db:half:closed:rsync',
  'file:builder/logs:file:open:rsync',
  'file:builder/steps/ab/base.json:another:closed:rsync',
  'file:fetcher/hashes.db:empty:open:rsync',
  'file:store/snapstep-store.json:empty:closed:rsync',
  'full:state-bytes:rsync-ext4',
  'device:shut-down:rsync',
  'descriptors:log:rsync',
];

needs(...NEEDS)('a builder whose files, disk or descriptors go', () => {
  it('gives right results or says what is wrong, and never rejects, hangs or dies', {
    timeout: 240_000,
  }, async () => {
    const reports: Reported[] = [];
    await runDamage({
      seed: 'short',
      stores: ['rsync'],
      isLong: false,
      isOnlyList: false,
      workers: 2,
      signal: new AbortController().signal,
      isWanted: ({ name }) => SHORT.includes(name),
      onReport: (report) => void reports.push(report),
    });
    expect(reports.map((report) => report.case.name).toSorted()).toEqual(SHORT.toSorted());
    expect(reports.flatMap((report) => report.findings.map((found) => [report.case.name, found]))).toEqual(
      [],
    );
  });
});
