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
    promise: `the limit ${limit} is enforced if \`enforces\` names it`,
    killedBy:
      limit === 'cpus' ? /at most the `cpus`/ : new RegExp(`declared limit ${limit}|\`run\` settles once`),
    first: [title],
    run: (run) => (request) => run({ ...request, limits: without(request.limits, limit) }),
  }),
);

const others: readonly SandboxBreakage[] = [
  {
    name: 'limit-without-a-name',
    promise: 'a command that overstepped a limit is answered with `limit-exceeded` and its name',
    killedBy: /the declared limit memoryBytes is enforced and named/,
    first: [titles.memoryBytes],
    run: (run) => async (request) =>
      (await run(request)).map((exit) =>
        exit.type === 'limit-exceeded' ? { type: 'exited', code: 137 } : exit,
      ),
  },
  {
    name: 'every-137-is-memory',
    promise: 'a limit that was not overstepped is not named',
    killedBy: /a limit that was not overstepped is not named|`exited` with its code/,
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
    promise: 'a command that prints now and then is not silent',
    killedBy: /a limit that was not overstepped is not named/,
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
