/** The ZFS store on OpenZFS, on this machine or in a virtual one: `npm run test:openzfs`. Arguments go to vitest. */
import { suiteCommand } from './guest/suite-command.ts';

process.exitCode = await suiteCommand('packages/store-zfs/test/openzfs', process.argv.slice(2));
