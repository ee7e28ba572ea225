import type { Check } from './report.ts';
import { runTool } from './run-tool.ts';

/** Checks that are one command each. */
export const commandChecks: readonly Check[] = [
  command('biome: formatting and lint rules', 'biome', 'check', '.', '--error-on-warnings', '--colors=off'),
  command('tsc: types', 'tsc', '--noEmit'),
  command('oxlint: no promise without a catch', 'oxlint', '--type-aware', '--deny-warnings'),
  command(
    'dependency-cruiser: directions of imports',
    'depcruise',
    'packages',
    'test',
    'examples',
    'scripts',
  ),
  command('knip: no unused file, export or dependency', 'knip', '--no-progress'),
  // In this order: tsup empties dist.
  command('tsup: JavaScript of every package', 'pnpm', '--recursive', 'run', 'build'),
  command('tsc: declarations of every package', 'tsc', '--build', '--force', 'tsconfig.build.json'),
];

function command(name: string, ...argv: [string, ...string[]]): Check {
  return { name, run: (signal) => runTool(argv, { signal }) };
}
