import { expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { parseSpec } from '../../src/index.ts';
import { joinPath, planStages, type StagePlan } from '../../src/plan/stages.ts';

describe('the plan of a spec', () => {
  it('has the base image, and a step for each op that makes a snapshot, from the second on', () => {
    const plan = planOf('((from base) (comment "hello") (env A 1) (run (shell a)) (copy (src x) (dst /y)))');
    expect([plan.name, plan.image]).toEqual(['main', 'base']);
    expect(plan.steps.map(({ op, number }) => [op.op, number])).toEqual([
      ['run', 2],
      ['copy', 3],
    ]);
  });

  it('gives each step what the ops before it said, and nothing of those after it', () => {
    const plan = planOf(`((from base) (run (shell first))
      (env A 1) (env B 2) (workdir /x) (user (uid 1) (gid 2)) (shell /bin/zsh -c) (run (shell second))
      (env A 3) (workdir y/) (workdir z) (user (name me)) (shell /bin/sh) (run (shell third)))`);
    expect(plan.steps.map(({ settings }) => settings)).toEqual([
      { env: {}, cwd: '' },
      { env: { A: '1', B: '2' }, cwd: '/x', user: { uid: 1, gid: 2 }, shell: ['/bin/zsh', '-c'] },
      { env: { A: '3', B: '2' }, cwd: '/x/y/z', user: { name: 'me' }, shell: ['/bin/sh'] },
    ]);
  });

  it('gives each step the same, whatever the order in which it was said', () => {
    const plan = planOf(`((from base) (shell /bin/zsh -c) (user (uid 1) (gid 2)) (workdir /x) (env A 1)
      (comment "hello") (run (shell a)))`);
    expect(plan.steps[0]?.settings).toStrictEqual({
      ...{ env: { A: '1' }, cwd: '/x' },
      ...{ user: { uid: 1, gid: 2 }, shell: ['/bin/zsh', '-c'] },
    });
  });

  it('holds once what several steps have in common of what was said', () => {
    const plan = planOf(`((from base) (env A 1) (run (shell first)) (comment "hello") (run (shell second))
      (workdir /x) (run (shell third)) (env B 2) (run (shell fourth)))`);
    const [first, second, third, fourth] = plan.steps.map(({ settings }) => settings);
    expect(second).toBe(first);
    expect(third?.env).toBe(first?.env);
    expect([first?.env, fourth?.env]).toEqual([{ A: '1' }, { A: '1', B: '2' }]);
  });

  it('has the stages that are copied from, by their names, and no others', () => {
    const plan = planOf(`((build one ((from base) (run (shell a))))
      (build two ((from other) (copy (from (build one)) (src a) (dst /a))))
      (build unused ((from base)))
      (from base) (copy (src here) (dst /here)) (copy (from (build two)) (src a) (dst /a)) (run (shell b)))`);
    const [context, two, run] = plan.steps.map(({ source }) => source);
    expect([context, run]).toEqual([undefined, undefined]);
    expect([two?.name, two?.image]).toEqual(['two', 'other']);
    expect(two?.steps[0]?.source).toMatchObject({ name: 'one', image: 'base', steps: [{ number: 2 }] });
  });

  it('knows a stage that is used twice as one', () => {
    const plan = planOf(`((build one ((from base)))
      (from base) (copy (from (build one)) (src a) (dst /a)) (copy (from (build one)) (src b) (dst /b)))`);
    expect(plan.steps[0]?.source).toBeDefined();
    expect(plan.steps[0]?.source).toBe(plan.steps[1]?.source);
  });

  it('finds the nearest stage of a name: an inner one hides an outer one, inside only', () => {
    const plan = planOf(`((build tool ((from outer)))
      (build user ((build tool ((from inner))) (from base) (copy (from (build tool)) (src a) (dst /a))))
      (from base)
      (copy (from (build tool)) (src a) (dst /a)) (copy (from (build user)) (src a) (dst /b)))`);
    expect(plan.steps[0]?.source?.image).toBe('outer');
    expect(plan.steps[1]?.source?.steps[0]?.source?.image).toBe('inner');
  });

  it('lets an inner stage copy from the stages before the one it is in', () => {
    const plan = planOf(`((build tool ((from outer)))
      (build user ((build part ((from base) (copy (from (build tool)) (src a) (dst /a))))
        (from base) (copy (from (build part)) (src a) (dst /a))))
      (from base) (copy (from (build user)) (src a) (dst /a)))`);
    const part = plan.steps[0]?.source?.steps[0]?.source;
    expect([part?.name, part?.steps[0]?.source?.image]).toEqual(['part', 'outer']);
  });
});

it('the plan of a spec that was not checked throws where a stage is not there', () => {
  const op = { op: 'copy', from: { stage: 'gone' }, src: ['a'], dst: '/a', exclude: [] } as const;
  const spec = { from: 'base', stages: [], ops: [op] };
  expect(() => planStages(spec)).toThrow('the spec was not checked: there is no stage "gone"');
});

describe('a path below a directory', () => {
  it.each([
    ['/a', 'b', '/a/b'],
    ['/a/', 'b', '/a/b'],
    ['/', 'b', '/b'],
    ['a', 'b', 'a/b'],
    ['', 'b', 'b'],
    ['', '', ''],
    ['/a', '', '/a/'],
    ['/a', '/b', '/b'],
    ['/a', '../b/', '/a/../b/'],
  ])('"%s" and "%s" is "%s"', (directory, path, joined) => {
    expect(joinPath(directory, path)).toBe(joined);
  });
});

function planOf(text: string): StagePlan {
  return planStages(expectOk(parseSpec(text)));
}
