import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { inRootfs, thenInRootfs } from './in-rootfs.ts';
import { type Run, type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

const escapes: readonly SandboxBreakage[] = [
  {
    name: 'working-directory-made-through-links',
    promise: 'no path of a request leads out of the world of the step',
    killedBy: /no path of a request leads to the host/,
    first: ['never leaves the volumes by a link in the working directory'],
    run: makesBefore(({ cwd }) => [cwd]),
  },
  {
    name: 'target-made-through-links',
    promise: 'no path of a request leads out of the world of the step',
    killedBy: /no path of a request leads to the host/,
    first: ['never leaves the volumes by a link in a target'],
    run: makesBefore(({ mounts }) => mounts.map(({ target }) => target)),
  },
  {
    name: 'teardown-through-links',
    promise: 'teardown touches nothing of the host, whatever links the command has left',
    killedBy: /teardown touches nothing of the host/,
    first: ['takes nothing away through a link in the place of a mount point'],
    run: thenInRootfs(async ({ mounts }, root) => {
      for (const { target } of mounts) await rm(join(root, target), { recursive: true, force: true });
    }),
  },
  {
    name: 'working-directory-with-the-umask',
    promise: "the modes of directories that are made do not depend on the host's umask",
    killedBy: /the host's umask changes no mode/,
    first: ['makes directories with modes of its own'],
    run: makesBefore(({ cwd }) => [cwd]),
  },
];

const leaks: readonly SandboxBreakage[] = [
  {
    name: 'mount-left-on-the-host',
    promise: 'nothing of a command is left on the host',
    killedBy: /nothing of a command is left on the host/,
    first: ['answers with the exit code'],
    run:
      (run, { dir }) =>
      async (request) => {
        const place = join(dir, 'state/left');
        await mkdir(place, { recursive: true });
        await runCommand('mount', ['--bind', place, place]);
        return run(request);
      },
  },
  {
    name: 'descriptors-stay-open',
    promise: 'nothing of a command is left when `run` has settled',
    killedBy: /nothing of a command is left when `run` has settled \(descriptors\)/,
    first: ['keeps no descriptors of commands that have ended'],
    run: (run) => {
      const kept: FileHandle[] = [];
      return async (request) => {
        kept.push(await open('/dev/null'));
        return run(request);
      };
    },
  },
  {
    name: 'a-thousand-files-open',
    promise: 'a command may open as many files as the host lets it',
    killedBy: /a command may open as many files as the host lets it/,
    first: ['lets a command open as many files'],
    run: inShell('ulimit -n 1024; exec "$0" "$@"'),
  },
];

export const escapeMutants: readonly Mutant[] = [...escapes, ...leaks].map(sandboxMutant);

/** Makes directories as a program of the host does that joins paths. */
function makesBefore(pathsOf: (request: Parameters<Run>[0]) => readonly string[]): (run: Run) => Run {
  return (run) => async (request) => {
    await inRootfs(request, async (root) => {
      for (const path of pathsOf(request)) await mkdir(join(root, path), { recursive: true }).catch(() => {});
    });
    return run(request);
  };
}

function inShell(script: string): (run: Run) => Run {
  return (run) => (request) => run({ ...request, argv: ['/bin/sh', '-c', script, ...request.argv] });
}
