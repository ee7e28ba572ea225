/** What `npm test` looks at before any test runs: `npm run check`. Types, style, imports, exports without use, builds. */
import { commandChecks } from './checks/command-checks.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { stopSignal } from './checks/stop.ts';

const stop = stopSignal();
const tally: Tally = { passed: 0, failed: [], skipped: 0 };
for (const check of commandChecks) await runCheck(tally, check, stop);
process.exitCode = printSummary(tally);
