import { chmod, chown, mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  directoryVolume,
  type HostPath,
  type Owner,
  orThrow,
  type Sandbox,
  toHostPath,
  toVolumeName,
  type Volume,
  type Volumes,
} from '@snapstep/core/backend';
import type { NetworkTools, SandboxPlace, SandboxWorld } from '@snapstep/core/conformance';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { busyboxRootfs, tempDir } from '@snapstep/test-support';

/** What the volumes know. A mutant that hangs shall not take long to be found out. */
export const world: SandboxWorld & NetworkTools = {
  accounts: [
    { name: 'root', uid: 0, gid: 0, home: '/root' },
    { name: 'builder', uid: 1000, gid: 1000, home: '/home/builder' },
  ],
  path: '/bin:/usr/bin',
  patience: 3000,
  // Where nobody listens or answers it ends as well.
  loopback: `{ echo hello | nc -l -p 8080 >/dev/null & } 2>/dev/null; sleep 0.3; nc -w 1 127.0.0.1 8080 </dev/null 2>/dev/null; true`,
};

/** What the suite, and the shells of mutants, need of busybox: its hundreds of others cost time. */
const APPLETS = [
  ...['sh', 'cat', 'chmod', 'chown', 'dd', 'echo', 'env', 'id', 'kill', 'ln', 'ls', 'mkdir', 'mv', 'nc'],
  ...['printf', 'pwd', 'rm', 'rmdir', 'setsid', 'sleep', 'touch', 'true', 'wc'],
];

/** A sandbox that keeps its promises, and what a mutant must know of where it is. */
export interface Healthy {
  readonly sandbox: Sandbox;
  readonly dir: HostPath;
  /** Opens one over the same state directory, once this one is closed. */
  reopen(stateDir?: HostPath): Promise<Sandbox>;
}

export interface HealthyOptions {
  /** Makes the OCI runtime to use, in a directory of the place's own. Default: runc. */
  readonly runtime?: (dir: string) => Promise<string>;
  /** Breaks what is healthy. */
  readonly change: (healthy: Healthy) => Sandbox;
  /** How the place is opened again, broken. Default: as it should be. */
  readonly reopen?: (healthy: Healthy) => Promise<Sandbox>;
}

/** A place of a sandbox made of a healthy one, with volumes of busybox. */
export async function openPlace({ runtime, change, reopen }: HealthyOptions): Promise<SandboxPlace> {
  const temp = await tempDir();
  const stateDir = toHostPath(join(temp.path, 'state'));
  const program = (await runtime?.(temp.path)) ?? 'runc';
  const open = async (at = stateDir) => orThrow(await openRuncSandbox({ stateDir: at, runtime: program }));
  const healthy = { sandbox: await open(), dir: toHostPath(temp.path), reopen: open };
  const ownersDir = join(temp.path, 'of-the-owner');
  await mkdir(ownersDir);
  return {
    sandbox: change(healthy),
    ...volumesIn(temp.path),
    leftovers: () => tracesOf(stateDir),
    restart: {
      command: [process.execPath, join(import.meta.dirname, 'owner.ts'), stateDir, ownersDir],
      open: () => reopen?.(healthy) ?? open(),
    },
    async [Symbol.asyncDispose]() {
      // What a mutant has left of its owners goes when the directory is opened properly.
      const last = await open();
      await last[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

export function volumesIn(dir: string): {
  volumes(): Promise<Volumes>;
  cache(owner: Owner): Promise<Volume>;
} {
  return {
    async volumes() {
      const name = toVolumeName('rootfs');
      const path = await mkdtemp(join(dir, 'rootfs-'));
      await chmod(path, 0o755);
      await busyboxRootfs(path, APPLETS);
      return new Map([[name, directoryVolume(name, path)]]);
    },
    async cache({ uid, gid }) {
      const path = await mkdtemp(join(dir, 'cache-'));
      await chown(path, uid, gid);
      return directoryVolume(toVolumeName('cache'), path);
    },
  };
}

/** Mounts, and control groups of containers, that are there although nothing runs. */
async function tracesOf(stateDir: string): Promise<readonly string[]> {
  const identity = (await readFile(join(stateDir, 'identity'), 'utf8').catch(() => 'none')).trim();
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  const mounts = lines.flatMap(([, target = '']) =>
    target.startsWith(stateDir) && !/\/run(\/empty)?$/.test(target) ? [target] : [],
  );
  const roots = lines.flatMap(([, target = '', type]) => (type?.startsWith('cgroup') ? [target] : []));
  const groups = roots.map(async (root) => {
    const parent = join(root, `snapstep-${identity}`);
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(parent, name));
  });
  return [...mounts, ...(await Promise.all(groups)).flat()];
}
