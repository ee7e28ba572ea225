/**
 * The quick loop of the ZFS store: `npm run test:zfs`. Its commands over a fake that answers as OpenZFS does, and the
 * suite of stores on zfs-fuse. All of it is part of `npm test` as well. Arguments go to vitest, such as `-t` and a title.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { repository } from './checks/run-tool.ts';
import { countReport, type VitestReport } from './checks/vitest.ts';

const FILES = [
  'packages/store-zfs/test/zfs.test.ts',
  'packages/store-zfs/test/fake',
  'packages/store-zfs/test/zfs-fuse',
];

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp);
  const output = join(repository, '.tools/zfs.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${output}`];
  const { exitCode } = await execa('vitest', ['run', ...reporters, ...FILES, ...args], {
    cwd: repository,
    env: { TMPDIR: temp },
    cancelSignal: stop.signal,
    // It ends the daemons before it ends.
    forceKillAfterDelay: 60_000,
    preferLocal: true,
    localDir: repository,
    reject: false,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (stop.signal.aborted) throw stop.signal.reason;
  countReport(tally, JSON.parse(await readFile(output, 'utf8')) as VitestReport);
  if (exitCode !== 0 && tally.failed.length === 0) tally.failed.push('vitest: an error outside of the tests');
  await runCheck(tally, nothingLeft, new AbortController().signal);
  return printSummary(tally);
}
