/** The ZFS store on OpenZFS, on this machine or in two virtual ones: `npm run test:openzfs`. Arguments go to vitest. */
import { STORE_JOBS } from './guest/jobs.ts';
import { suiteCommand } from './guest/suite-command.ts';

// `npm test` leaves out a part.
process.env.SNAPSTEP_OPENZFS = 'all';
process.exitCode = await suiteCommand(STORE_JOBS, process.argv.slice(2));
