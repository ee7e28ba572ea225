/**
 * The quick loop of the ZFS store: `npm run test:zfs`. Its commands over a fake that answers as OpenZFS does, and the
 * suite of stores on zfs-fuse. All of it is part of `npm test` as well. Arguments go to vitest, such as `-t` and a title.
 */
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { stopSignal } from './checks/stop.ts';
import { countRun, runVitest } from './checks/vitest.ts';

const FILES = [
  'packages/store-zfs/test/zfs.test.ts',
  'packages/store-zfs/test/fake',
  'packages/store-zfs/test/zfs-fuse',
];

const stop = stopSignal();
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp, stop);
  countRun(tally, await runVitest({ args: [...FILES, ...args], temp, signal: stop }));
  await runCheck(tally, nothingLeft, new AbortController().signal);
  return printSummary(tally);
}
