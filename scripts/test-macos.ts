/** The macOS sandbox in the guest, on this machine or in a virtual one: `npm run test:macos`. Arguments go to vitest. */
import { suiteCommand } from './guest/suite-command.ts';

process.exitCode = await suiteCommand('packages/sandbox-macos/test/guest', process.argv.slice(2));
