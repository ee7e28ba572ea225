/** The tests under the oldest and the newest Node that the packages promise: `npm run test:nodes`. */
import { dirname, resolve } from 'node:path';
import { execa } from 'execa';
import { installedNode, NODES } from './checks/installed-node.ts';

const repository = resolve(import.meta.dirname, '..');
let failures = 0;

for (const version of NODES) {
  if (version === process.versions.node) continue;
  const node = await installedNode(version);
  console.log(`\n== Node ${version}\n`);
  const { exitCode } = await execa(
    node,
    ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)],
    {
      cwd: repository,
      env: { PATH: `${dirname(node)}:${process.env.PATH}` },
      reject: false,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  if (exitCode !== 0) failures += 1;
}
process.exitCode = failures === 0 ? 0 : 1;
