import { relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { instrumentAll, source } from './test/core-mutants/all-mutants.ts';
import { TESTS } from './test/core-mutants/targets.ts';

/** The tests of core over sources with all mutants in them, in one process: `npm run test:core-mutants`. */
const instrumented = instrumentAll();

class JudgeLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isJudge = ({ moduleId }: TestSpecification): number => Number(moduleId.endsWith('judge.ts'));
    return files.toSorted((a, b) => isJudge(a) - isJudge(b) || (a.moduleId < b.moduleId ? -1 : 1));
  }
}

export default defineConfig({
  plugins: [
    {
      name: 'core-mutants',
      enforce: 'pre',
      transform: (_code, id) => instrumented.get(relative(source, id))?.code,
    },
  ],
  test: {
    include: [TESTS, 'test/core-mutants/judge.ts'],
    runner: 'test/core-mutants/runner.ts',
    sequence: { sequencer: JudgeLast },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
    isolate: false,
    // A module that was kept from an earlier run has the numbers that its mutants had then.
    fsModuleCache: false,
    fileParallelism: false,
  },
  oxc: { target: 'es2023' },
});
