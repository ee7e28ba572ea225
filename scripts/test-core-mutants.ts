/**
 * Checks the tests of core: each small change of its sources, a mutant, must make one of them fail, or be listed with the
 * reason in `test/core-mutants/survivors`. `npm run test:core-mutants`, or with parts of the files' paths:
 * `npm run test:core-mutants -- cache/slots`. `--with PART` takes only the tests of files with that in their path,
 * `--every N` only each Nth mutant of a function, from the first on.
 */
import { globSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { instrumentAll } from '../test/core-mutants/all-mutants.ts';
import type { Mutant } from '../test/core-mutants/instrument.ts';
import { judgeAll, measure } from '../test/core-mutants/processes.ts';
import { printReport } from '../test/core-mutants/report.ts';
import { listed } from '../test/core-mutants/survivors.ts';
import { CPU_MS, SLOWEST_CPU_MS, TESTS } from '../test/core-mutants/targets.ts';
import { privateTemp } from './checks/leftovers.ts';
import { repository } from './checks/run-tool.ts';
import { stopSignal } from './checks/stop.ts';
import { takeAway } from './checks/take-away.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    with: { type: 'string', multiple: true, default: [''] },
    every: { type: 'string', default: '1' },
    processes: { type: 'string', default: '2' },
    verbose: { type: 'boolean', default: false },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const signal = stopSignal();
  const start = performance.now();
  const shop = { directory: await privateTemp(), processes: Number(values.processes), signal };
  const mutants = [...instrumentAll().values()].flatMap((one) => sample(one.mutants)).filter(isWanted);
  const files = globSync(TESTS, { cwd: repository }).filter((file) =>
    values.with.some((part) => file.includes(part)),
  );
  const tests = await measure(shop, files.sort());
  const broken = tests.filter(({ failure }) => failure !== undefined);
  for (const { name, failure } of broken) console.log(`✗ ${name} fails with no mutant: ${failure}`);
  const survivors = mutants.filter(listed).map(({ id }) => id);
  const verdicts = await judgeAll(shop, {
    files,
    tests: tests.filter(
      ({ failure, cpuMilliseconds }) => failure === undefined && cpuMilliseconds <= SLOWEST_CPU_MS,
    ),
    mutants: mutants.map(({ id }) => id),
    survivors,
    cpuMilliseconds: CPU_MS,
  });
  const isGood = printReport(mutants, { verdicts, isVerbose: values.verbose });
  // Mutants leave mounts and loop devices.
  await takeAway(shop.directory);
  await rmdir(shop.directory);
  console.log(`${((performance.now() - start) / 60_000).toFixed(1)} minutes`);
  return isGood && broken.length === 0 && !signal.aborted ? 0 : 1;
}

/** Each function is hit, however few are taken. */
function sample(mutants: readonly Mutant[]): readonly Mutant[] {
  const every = Number(values.every);
  return [...Map.groupBy(mutants, ({ within }) => within).values()].flatMap((of) =>
    of.filter((_, i) => i % every === 0),
  );
}

function isWanted({ file }: Mutant): boolean {
  return positionals.length === 0 || positionals.some((part) => file.includes(part));
}
