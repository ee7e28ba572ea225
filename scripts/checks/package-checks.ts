import type { Tarball } from './pack.ts';
import type { Check } from './report.ts';
import { runTool } from './run-tool.ts';

/** What is wrong with a package that only a look at its tarball shows. */
export function packageChecks(tarballs: readonly Tarball[]): readonly Check[] {
  return tarballs.flatMap(({ name, path }) => [
    { name: `publint: ${name}`, run: (signal) => runTool(['publint', path, '--strict'], { signal }) },
    {
      name: `attw: ${name}`,
      run: (signal) => runTool(['attw', path, '--profile', 'esm-only', '--no-color'], { signal }),
    },
  ]);
}
