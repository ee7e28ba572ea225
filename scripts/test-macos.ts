/** The macOS sandbox in the guest, on this machine or in a virtual one: `npm run test:macos`. Arguments go to vitest. */
import { MACOS_JOBS } from './guest/jobs.ts';
import { suiteCommand } from './guest/suite-command.ts';

process.exitCode = await suiteCommand(MACOS_JOBS, process.argv.slice(2));
