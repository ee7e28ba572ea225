import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mountPointsBelow, toHostPath } from '@snapstep/core/backend';
import type { SandboxPlace, SandboxWorld } from '@snapstep/core/conformance';
import { expectOk } from '@snapstep/test-support';
import { openMacosSandbox } from '../../src/index.ts';
import { emptyVolume, placement, unmountAll, volumesOf } from './bind-store.ts';

export const users = [
  { name: 'mac7001', uid: 7001, gid: 20 },
  { name: 'mac7002', uid: 7002, gid: 20 },
] as const;
export const [user, other] = users;

export const world: SandboxWorld = {
  accounts: [{ ...user, home: '/Users/mac7001' }],
  path: '/usr/bin:/bin',
  directory: '/Users/mac7001/suite',
  elsewhere: '/opt/homebrew/suite',
  cwdOwner: user,
  secretPlace: (target) => `"$SNAPSTEP_SECRETS_DIR"${target}`,
};

export async function openIn(directory: string) {
  return expectOk(
    await openMacosSandbox({
      users,
      homebrewPrefix: toHostPath('/opt/homebrew'),
      stateDir: toHostPath(join(directory, 'state')),
    }),
  );
}

export function volumesIn(directory: string): Pick<SandboxPlace, 'volumes' | 'cache'> {
  return {
    volumes: () => volumesOf(directory, user),
    cache: (owner) => emptyVolume(directory, { name: 'cache', owner }),
  };
}

/** A sandbox on a Mac that is not one, for one test of the suite. */
export async function openPlace(): Promise<SandboxPlace> {
  const directory = await mkdtemp('/Volumes/place-');
  await chmod(directory, 0o755);
  return {
    sandbox: await openIn(directory),
    features: { placement },
    ...volumesIn(directory),
    leftovers: () => leftIn(directory),
    restart: {
      command: [process.execPath, join(import.meta.dirname, 'suite-owner.ts'), directory],
      async open() {
        const sandbox = await openIn(directory);
        await unmountAll();
        return sandbox;
      },
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** What is there of steps that have ended. */
export async function leftIn(directory: string): Promise<readonly string[]> {
  const mounts = await Promise.all(
    ['/Users', '/opt/homebrew'].map(async (place) => expectOk(await mountPointsBelow(place))),
  );
  const state = join(directory, 'state');
  const files = await Promise.all(['runs', 'steps'].map((name) => readdir(join(state, name))));
  return [...mounts.flat(), ...files.flat()];
}
