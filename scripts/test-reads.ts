/**
 * Tries to read what is somebody else's, in every way that was thought of, and counts the tries that came to it:
 * `npm run test:reads`. Core dumps are tried in the virtual machine. Arguments go to vitest, such as `-t secret`; then the
 * machine is left out.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { repository } from './checks/run-tool.ts';
import { stopSignal } from './checks/stop.ts';
import { countRun, printTries, runVitest } from './checks/vitest.ts';
import { countSuites } from './guest/count-suites.ts';
import { whyNoGuest } from './guest/guest.ts';
import { CORE_DUMP_JOBS } from './guest/jobs.ts';

/** What is tried, and where. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  'directories that are exchanged while they are read': [
    'packages/core/test/backend/open-directory.test.ts',
    'packages/core/test/plan/exchanged-directories.test.ts',
    'packages/fetcher-oci/test/exchanged-directories.test.ts',
  ],
  'images of a registry that asks for a password': ['packages/fetcher-oci/test/private-images.test.ts'],
  'secrets in logs': [
    'packages/core/test/log/masked-log.test.ts',
    'packages/core/test/build/secrets-in-logs.test.ts',
    'test/stories/build.test.ts',
  ],
  'exports, state directories': [
    'packages/cli/test/commands.test.ts',
    'packages/core/test/backend/backend.test.ts',
  ],
  'names that are commands to a terminal': ['packages/cli/test/control-characters.test.ts'],
  'the machine and other steps, from a step': [
    'packages/sandbox-runc/test/isolation.test.ts',
    'packages/sandbox-runc/test/user-namespaces.test.ts',
  ],
};

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const signal = stopSignal();
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const files = Object.values(FILES).flat();
  for (const file of files.filter((path) => !existsSync(join(repository, path))))
    tally.failed.push(`${file} is not there`);
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp, signal);
  const run = await runVitest({ args: [...files, ...args], temp, env: { SNAPSTEP_READS: 'all' }, signal });
  countRun(tally, run);
  printTries(run);
  if (args.length === 0) {
    const reason = whyNoGuest();
    if (reason === undefined) await countSuites(tally, CORE_DUMP_JOBS, { temp, signal });
    else console.log(`↓ core dumps: ${reason}`);
    if (reason !== undefined) tally.skipped += 1;
  }
  await runCheck(tally, nothingLeft, new AbortController().signal);
  return printSummary(tally);
}
