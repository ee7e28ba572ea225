/**
 * Damages everything that a builder keeps, and what it stands on, and looks what becomes of it: `npm run test:damage`. The
 * result must be right or a failure that is told by a sentence, whatever happens. The last line is `N passed, N failed`.
 *
 * Arguments choose cases by parts of their names, such as `file:builder/index.db`. `--long` has all, a whole name that one.
 * `--seed TEXT` chooses others, `--list` shows their names, `--workers N` runs so many at the same time.
 */
import { parseArgs } from 'node:util';
import type { DamageCase } from '../test/damage/case.ts';
import { lacks, runDamage } from '../test/damage/run.ts';
import { type Reported, table } from '../test/damage/table.ts';
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { stopSignal } from './checks/stop.ts';
import { takeAway } from './checks/take-away.ts';

/** So many findings of each case. */
const SHOWN = 12;

const stop = stopSignal();
process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      long: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      seed: { type: 'string', default: 'snapstep' },
      workers: { type: 'string', default: '2' },
    },
  });
  const missing = lacks();
  if (missing.length > 0) {
    console.log(`skipped: this machine lacks ${missing.join(', ')}\n0 passed, 0 failed, 1 skipped`);
    return process.env.CI !== undefined && process.getuid?.() === 0 ? 1 : 0;
  }
  const isWanted = (one: DamageCase): boolean =>
    positionals.includes(one.name) || (isNamed(one) && (values.long || one.isStandard));
  const isNamed = ({ name }: DamageCase): boolean =>
    positionals.length === 0 || positionals.some((part) => name.includes(part));
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const temp = await privateTemp();
  process.env.TMPDIR = temp;
  const nothingLeft = await leftovers(temp, stop);
  console.log(`seed: ${values.seed}`);
  const reports: Reported[] = [];
  const { seed, long: isLong, list: isOnlyList } = values;
  await runDamage({
    ...{ seed, isLong, isOnlyList, isWanted, signal: stop, workers: Number(values.workers) },
    onReport: (report) => {
      reports.push(report);
      if (report.findings.length === 0) tally.passed += 1;
      else tally.failed.push(report.case.name);
      print(report);
    },
  }).catch(async (error: unknown) => {
    tally.failed.push(`the run ended: ${error}`);
    await takeAway(temp);
  });
  if (reports.length > 0 && !isOnlyList) console.log(`\n${table(reports)}\n`);
  await runCheck(tally, nothingLeft, new AbortController().signal);
  return printSummary(tally);
}

function print({ case: { name }, findings, told, milliseconds }: Reported): void {
  const seconds = (milliseconds / 1000).toFixed(1).padStart(6);
  console.log(`${findings.length === 0 ? '✓' : '✗'} ${name.padEnd(70)} ${told} told ${seconds} s`);
  const texts = new Set(
    findings.map(({ fault, text }) => `    ${fault}: ${text.split('\n').slice(0, 4).join('\n        ')}`),
  );
  for (const text of [...texts].slice(0, SHOWN)) console.log(text.slice(0, 700));
  if (texts.size > SHOWN) console.log(`    and ${texts.size - SHOWN} more`);
}
