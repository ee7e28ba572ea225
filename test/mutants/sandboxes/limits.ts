import type { LimitName, RunRequest } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

const titles: Readonly<Record<LimitName, string>> = {
  memoryBytes: 'ends a command that takes more memory',
  cpus: 'no more time of the processors',
  pids: 'starts more processes than it may',
  timeoutMs: 'takes longer than it may',
  silenceMs: 'prints nothing for too long',
};

const claimed = (Object.entries(titles) as [LimitName, string][]).map(
  ([limit, title]): SandboxBreakage => ({
    name: `claims-${limit.toLowerCase()}`,
    breaks: 'limits',
    also: ['settles'],
    first: [title],
    run: (run) => (request) => run({ ...request, limits: without(request.limits, limit) }),
  }),
);

const others: readonly SandboxBreakage[] = [
  {
    name: 'limit-named-twice',
    breaks: 'enforces',
    first: ['declares only limits that there are'],
    change: ({ sandbox }) => ({ enforces: [...sandbox.enforces, ...sandbox.enforces] }),
  },
  {
    name: 'limit-without-a-name',
    breaks: 'limits',
    first: [titles.memoryBytes],
    run: (run) => async (request) =>
      (await run(request)).map((exit) =>
        exit.type === 'limit-exceeded' ? { type: 'exited', code: 137 } : exit,
      ),
  },
  {
    name: 'every-137-is-memory',
    breaks: 'withinLimits',
    also: ['exited'],
    first: ['does not blame the limit on memory'],
    run: (run) => async (request) =>
      (await run(request)).map((exit) =>
        request.limits.memoryBytes !== undefined && exit.type === 'exited' && exit.code !== 0
          ? { type: 'limit-exceeded', limit: 'memoryBytes' }
          : exit,
      ),
  },
  {
    name: 'silence-counts-from-the-start',
    breaks: 'withinLimits',
    first: [titles.silenceMs],
    run: (run) => async (request) => {
      const { silenceMs, ...limits } = request.limits;
      if (silenceMs === undefined) return run(request);
      const exit = await run({ ...request, limits: { ...limits, timeoutMs: silenceMs } });
      return exit.map((end) =>
        end.type === 'limit-exceeded' && end.limit === 'timeoutMs' ? { ...end, limit: 'silenceMs' } : end,
      );
    },
  },
];

export const limitMutants: readonly Mutant[] = [...claimed, ...others].map(sandboxMutant);

function without(limits: RunRequest['limits'], limit: LimitName): RunRequest['limits'] {
  return Object.fromEntries(Object.entries(limits).filter(([name]) => name !== limit));
}
