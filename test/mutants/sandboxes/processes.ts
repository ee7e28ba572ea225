import { join } from 'node:path';
import { orThrow, runCommand, type Volumes } from '@snapstep/core/backend';
import { type SandboxPlace, sandboxSuite } from '@snapstep/core/conformance';
import { tempDir } from '@snapstep/test-support';
import type { Mutant } from '../mutant.ts';
import { chrootSandbox, type End, endAll, endChild, endGroup } from './chroot-sandbox.ts';
import { volumesIn, world } from './healthy-place.ts';

interface ProcessBreakage extends Pick<Mutant, 'name' | 'promise' | 'killedBy'> {
  readonly first: readonly [string, ...string[]];
  readonly end: End;
  readonly settle?: 'exit' | 'close';
}

const GONE = /`run` settles only once every process it started is gone/;

export const processMutants: readonly Mutant[] = (
  [
    {
      name: 'misses-a-double-fork',
      promise: 'every process is gone, also one that forked twice and changed its session',
      killedBy: GONE,
      first: ['ends a daemon, which forked twice'],
      end: endGroup,
    },
    {
      name: 'abort-misses-a-session',
      promise: 'aborting kills grandchildren in sessions of their own',
      killedBy: GONE,
      first: ['ends grandchildren in sessions of their own'],
      end: endGroup,
    },
    {
      name: 'kills-the-child-only',
      promise: 'what a command leaves in the background ends with it',
      killedBy: GONE,
      first: ['ends a process in the background'],
      end: endChild,
    },
    {
      name: 'waits-for-the-pipe',
      promise: '`run` settles once the command has ended, whoever holds its output open',
      killedBy: /`run` settles (once the command has ended|within a bound)/,
      first: ['ends a process that holds the output open'],
      end: endChild,
      settle: 'close',
    },
  ] satisfies readonly ProcessBreakage[]
).map(({ end, settle = 'exit', ...said }: ProcessBreakage) => ({
  ...said,
  needs: ['root', 'busybox'],
  suite: (functions) => sandboxSuite(functions, { ...world, open: () => openChroot({ end, settle }) }),
}));

/** The draft that the mutants are made of, where it keeps its promises. */
export function openHealthyChroot(): Promise<SandboxPlace> {
  return openChroot({ end: endAll, settle: 'exit' });
}

async function openChroot({
  end,
  settle,
}: Required<Pick<ProcessBreakage, 'end' | 'settle'>>): Promise<SandboxPlace> {
  const temp = await tempDir();
  return {
    sandbox: chrootSandbox(end, settle),
    ...volumesIn(temp.path),
    volumes: () => volumesWithNull(temp.path),
    async [Symbol.asyncDispose]() {
      await endAll({ root: temp.path });
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** A shell wants it for the standard input of what it starts in the background. */
async function volumesWithNull(dir: string): Promise<Volumes> {
  const volumes = await volumesIn(dir).volumes();
  for (const volume of volumes.values()) {
    await using mounted = orThrow(await volume.mount());
    orThrow(await runCommand('mknod', [join(mounted.path, 'dev/null'), 'c', '1', '3']));
  }
  return volumes;
}
