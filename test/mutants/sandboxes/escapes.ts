import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { inRootfs, thenInRootfs } from './in-rootfs.ts';
import { runtimeThat } from './runtime-that.ts';
import { type Run, type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

const escapes: readonly SandboxBreakage[] = [
  {
    name: 'working-directory-made-through-links',
    breaks: 'inside',
    first: ['never leaves the volumes by a link in the working directory'],
    run: makesBefore(({ cwd }) => [cwd]),
  },
  {
    name: 'target-made-through-links',
    breaks: 'inside',
    first: ['never leaves the volumes by a link in a target'],
    run: makesBefore(({ mounts }) => mounts.map(({ target }) => target)),
  },
  {
    name: 'teardown-through-links',
    breaks: 'teardown',
    first: ['takes nothing away through a link in the place of a mount point'],
    run: thenInRootfs(async ({ mounts }, root) => {
      for (const { target } of mounts) await rm(join(root, target), { recursive: true, force: true });
    }),
  },
  {
    name: 'settings-of-the-kernel',
    breaks: 'hostUnchanged',
    first: ["cannot change the kernel's settings"],
    runtime: (dir) => runtimeThat(dir, 's#"/proc/sys",##'),
  },
  {
    name: 'inherited-capabilities',
    breaks: 'rights',
    first: ['gives a command no capabilities that its programs inherit'],
    runtime: (dir) => runtimeThat(dir, 's/"inheritable":\\[\\]/"inheritable":["CAP_CHOWN"]/'),
  },
  {
    name: 'system-is-read-only',
    breaks: 'possible',
    first: ['has everything that the command did in the volumes', 'says in which volume'],
    runtime: (dir) => runtimeThat(dir, 's/"readonly":false/"readonly":true/'),
  },
  {
    name: 'working-directory-with-the-umask',
    breaks: 'umask',
    first: ['makes directories with modes of its own'],
    run: makesBefore(({ cwd }) => [cwd]),
  },
];

const leaks: readonly SandboxBreakage[] = [
  {
    name: 'mount-left-on-the-host',
    breaks: 'leftNothing',
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
    breaks: 'leftNothing',
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
    breaks: 'openFiles',
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
