import type { RunRequest } from '@snapstep/core/backend';
import type { Run } from './sandbox-mutant.ts';

/** Does something to the root file system of each command that has ended. */
export function thenInRootfs(
  work: (request: RunRequest, root: string) => Promise<unknown>,
): (run: Run) => Run {
  return (run) => async (request) => {
    const exit = await run(request);
    if (exit.isOk()) await inRootfs(request, (root) => work(request, root));
    return exit;
  };
}

/** Calls `work` with the place of the root file system on the host. */
export async function inRootfs<T>({ volumes }: RunRequest, work: (root: string) => Promise<T>): Promise<T> {
  const [volume] = volumes.values();
  const mounted = await volume?.mount();
  if (mounted?.isOk() !== true) throw new Error('the root file system cannot be mounted');
  await using place = mounted.value;
  return await work(place.path);
}
