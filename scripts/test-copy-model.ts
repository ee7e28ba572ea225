/**
 * Copies of any tree over any tree, held against a model of what lands where: `npm run test:copy-model`. 10,000 cases in
 * the memory store and as many on Btrfs, and some hundreds in whole builds; `npm test` has a few hundred of them in all.
 * `SNAPSTEP_COPY_CASES` is another number. Arguments go to vitest, such as `-t Btrfs`.
 */
import { vitestCommand } from './checks/vitest-command.ts';

const FILES = ['packages/core/test/build/copy-model'];

process.exitCode = await vitestCommand({
  args: [...FILES, ...process.argv.slice(2)],
  env: { SNAPSTEP_COPY_CASES: process.env.SNAPSTEP_COPY_CASES ?? '10000' },
});
