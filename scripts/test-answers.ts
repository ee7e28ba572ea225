/**
 * Makes every public call of a builder, a store, a sandbox and a fetcher in every state that they may be in: a file in the
 * place of each directory, disks that are full, read-only or forbidden, no descriptors, closed, aborted. Each must be
 * answered: `npm run test:answers`; `npm test` has a few of the states. Arguments go to vitest, such as `-t rsync`.
 */
import { vitestCommand } from './checks/vitest-command.ts';

process.exitCode = await vitestCommand({
  args: ['test/answers', ...process.argv.slice(2)],
  env: { SNAPSTEP_ANSWERS: 'all' },
});
