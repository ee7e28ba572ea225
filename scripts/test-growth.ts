/**
 * Measures how the work for a spec, a reference to an image and an ignore file grows with its text, for every shape that
 * each can have: `npm run test:growth`. Arguments go to vitest, such as `-t "a reference"`.
 */
import { vitestCommand } from './checks/vitest-command.ts';

process.exitCode = await vitestCommand({ args: ['test/growth', ...process.argv.slice(2)] });
