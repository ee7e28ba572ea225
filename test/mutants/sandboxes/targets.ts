import type { Mutant } from '../mutant.ts';
import { type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

/** Mounts in mounts, and beside them. */
const targets: readonly SandboxBreakage[] = [
  {
    name: 'no-cache-two-levels-down',
    breaks: 'nested',
    first: ['mounts caches three deep'],
    run: (run) => (request) => {
      const above = (target: string) =>
        request.mounts.filter((other) => target.startsWith(`${other.target}/`)).length;
      return run({ ...request, mounts: request.mounts.filter(({ target }) => above(target) < 2) });
    },
  },
  {
    name: 'targets-that-begin-alike-are-one',
    breaks: 'targets',
    first: ['mounts caches three deep'],
    run: (run) => (request) => {
      const isAlike = (target: string) =>
        request.mounts.some(
          (other) => /^[^/]/.test(target.slice(other.target.length)) && target.startsWith(other.target),
        );
      return run({ ...request, mounts: request.mounts.filter(({ target }) => !isAlike(target)) });
    },
  },
];

export const targetMutants: readonly Mutant[] = targets.map(sandboxMutant);
