import { join } from 'node:path';
import { orThrow, runCommand, type Volumes } from '@snapstep/core/backend';
import { type SandboxPlace, sandboxPromises, sandboxSuite } from '@snapstep/core/conformance';
import { tempDir } from '@snapstep/test-support';
import { type Breakage, said } from '../by-promise.ts';
import type { Mutant } from '../mutant.ts';
import { chrootSandbox, type End, endAll, endChild, endGroup } from './chroot-sandbox.ts';
import { volumesIn, world } from './healthy-place.ts';

interface ProcessBreakage extends Breakage<typeof sandboxPromises> {
  readonly end: End;
  readonly settle?: 'exit' | 'close';
}

export const processMutants: readonly Mutant[] = (
  [
    {
      name: 'misses-a-double-fork',
      breaks: 'gone',
      first: ['ends a daemon, which forked twice'],
      end: endGroup,
    },
    {
      name: 'abort-misses-a-session',
      breaks: 'gone',
      first: ['ends grandchildren in sessions of their own'],
      end: endGroup,
    },
    {
      name: 'kills-the-child-only',
      breaks: 'gone',
      first: ['ends a process in the background'],
      end: endChild,
    },
    {
      name: 'waits-for-the-pipe',
      breaks: 'settles',
      first: ['ends a process that holds the output open'],
      end: endChild,
      settle: 'close',
    },
  ] satisfies readonly ProcessBreakage[]
).map(({ end, settle = 'exit', ...breakage }: ProcessBreakage) => ({
  ...said(sandboxPromises, breakage),
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
