import { chmod, chown, mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import {
  directoryVolume,
  type Owner,
  toHostPath,
  toVolumeName,
  type Volume,
  type Volumes,
} from '@snapstep/core/backend';
import type { SandboxPlace, SandboxWorld } from '@snapstep/core/conformance';
import { busyboxRootfs, expectOk, tempDir } from '@snapstep/test-support';
import { openRuncSandbox } from '../src/index.ts';
import { processesWith, tracesOf } from './steps.ts';

/** What the tests' root file systems know. */
export const world: SandboxWorld = {
  accounts: [
    { name: 'root', uid: 0, gid: 0, home: '/root' },
    { name: 'builder', uid: 1000, gid: 1000, home: '/home/builder' },
  ],
  path: '/bin:/usr/bin',
};

/** Volumes in a directory: the root file system of busybox, and empty caches. */
export function volumesIn(directory: string): {
  volumes(): Promise<Volumes>;
  cache(owner: Owner): Promise<Volume>;
} {
  return {
    async volumes() {
      const name = toVolumeName('rootfs');
      const path = await mkdtemp(join(directory, 'rootfs-'));
      await chmod(path, 0o755);
      await busyboxRootfs(path, APPLETS);
      return new Map([[name, directoryVolume(name, path)]]);
    },
    async cache({ uid, gid }) {
      const path = await mkdtemp(join(directory, 'cache-'));
      await chown(path, uid, gid);
      return directoryVolume(toVolumeName('cache'), path);
    },
  };
}

/** A sandbox, for one test of the suite. */
export async function openPlace(runtime: string): Promise<SandboxPlace> {
  const dir = await tempDir();
  const stateDir = toHostPath(join(dir.path, 'state'));
  const open = async () => expectOk(await openRuncSandbox({ stateDir, runtime }));
  const owner = join(import.meta.dirname, 'suite-owner.ts');
  await mkdir(join(dir.path, 'of-the-owner'));
  return {
    sandbox: await open(),
    ...volumesIn(dir.path),
    leftovers: async () => [...(await tracesOf(stateDir)), ...(await processesWith(stateDir))],
    restart: { command: [process.execPath, owner, stateDir, runtime, join(dir.path, 'of-the-owner')], open },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

/** What the suite needs of busybox, without the hundreds of others that it could do. */
const APPLETS = [
  ...['sh', 'cat', 'chmod', 'dd', 'echo', 'env', 'id', 'kill', 'ln', 'ls', 'mkdir', 'mv', 'nc', 'printf'],
  ...['pwd', 'rm', 'setsid', 'sleep', 'touch', 'true', 'wc'],
];
