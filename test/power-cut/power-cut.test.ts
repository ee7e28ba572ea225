import { needs } from '@snapstep/test-support';
import { beforeAll, expect, it } from 'vitest';
import type { Problem, Verdict } from './judge.ts';
import { NEEDS, SHORT } from './plans.ts';
import { runPowerCuts } from './run.ts';

needs(...NEEDS)('a builder whose machine loses its power, and starts again', () => {
  const verdicts: Verdict[] = [];
  const failures: string[] = [];

  beforeAll(async () => {
    const { signal } = new AbortController();
    for await (const report of runPowerCuts({ ...SHORT, seed: 1 }, { signal })) {
      if (report.type === 'verdict') verdicts.push(report);
      else failures.push(`${report.world}: ${report.message}`);
    }
  }, 600_000);

  const problems = (kind: Problem['kind']): readonly string[] =>
    verdicts.flatMap(({ cut, problems }) =>
      problems.filter((problem) => problem.kind === kind).map(({ text }) => `${cut.moment}: ${text}`),
    );

  it('was cut at each moment in each world, and had saved something', () => {
    expect(failures).toEqual([]);
    const cuts = SHORT.phases.flatMap((phase) => phase.cuts).length;
    expect(verdicts).toHaveLength(cuts * SHORT.worlds.length);
    expect(verdicts.reduce((sum, { saved }) => sum + saved, 0)).toBeGreaterThan(0);
  });

  it('opens its store and its state, be they new, at work or closed when it happened', () => {
    expect(problems('unopened')).toEqual([]);
  });

  it('has nothing that is not as it was made: no file, no log, no record, no cache', () => {
    expect(problems('wrong')).toEqual([]);
  });

  it('has lost nothing if it was closed before, and else what was saved in the last seconds', () => {
    expect(problems('lost')).toEqual([]);
  });

  it('builds what was lost and what is new, prunes, and closes', () => {
    expect(problems('trouble')).toEqual([]);
  });
});
