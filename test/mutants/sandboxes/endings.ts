import type { Volume } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

/** Who waits for whom when a command ends. */
const endings: readonly SandboxBreakage[] = [
  {
    name: 'does-not-wait-for-unmounts',
    breaks: 'unmounted',
    first: ['settles only when every volume is unmounted'],
    run: (run) => (request) =>
      run({
        ...request,
        volumes: new Map([...request.volumes].map(([name, volume]) => [name, leftToItself(volume)])),
        mounts: request.mounts.map((mount) => ({ ...mount, volume: leftToItself(mount.volume) })),
      }),
  },
  {
    name: 'waits-for-its-neighbours',
    breaks: 'settles',
    first: ['does not see the processes of a command beside it'],
    run: (run) => {
      const running = new Set<Promise<unknown>>();
      return async (request) => {
        const own = run(request);
        running.add(own);
        await own;
        await Promise.all(running);
        running.delete(own);
        return own;
      };
    },
  },
];

export const endingMutants: readonly Mutant[] = endings.map(sandboxMutant);

/** A volume whose unmounts nobody waits for. */
function leftToItself(volume: Volume): Volume {
  return {
    name: volume.name,
    mount: async () =>
      (await volume.mount()).map((mounted) => ({
        path: mounted.path,
        [Symbol.asyncDispose]: async () => {
          void Promise.resolve(mounted[Symbol.asyncDispose]()).catch(() => {});
        },
      })),
  };
}
