import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Exit,
  ok,
  type Result,
  type RunRequest,
  type Sandbox,
  type SandboxError,
  toHostPath,
  toVolumeName,
  type Volume,
  type VolumeName,
} from '@snapstep/core/backend';
import { busyboxRootfs, collectLog, expectOk, type Need, needs, tempDir } from '@snapstep/test-support';
import { openRuncSandbox, type RuncSandboxOptions } from '../src/index.ts';

export const RUNTIMES = ['runc', 'crun'] as const;

/** The same tests with each runtime, titled after it. */
export function withEachRuntime(
  title: string,
  body: (runtime: (typeof RUNTIMES)[number]) => void,
  more: readonly Need[] = [],
): void {
  for (const runtime of RUNTIMES) {
    needs('root', 'busybox', runtime, ...more)(`${title}, with ${runtime}`, () => body(runtime));
  }
}

export interface Ran {
  readonly result: Result<Exit, SandboxError>;
  readonly output: string;
}

/** A sandbox, a root file system of busybox, and a short way to run things in it. */
export interface Bench extends AsyncDisposable {
  readonly dir: string;
  readonly stateDir: string;
  readonly rootfs: string;
  readonly sandbox: Sandbox;
  /** Runs a shell script, or an argv; `request` says what is not as usual. */
  run(command: string | readonly [string, ...string[]], request?: Partial<RunRequest>): Promise<Ran>;
  /** The output of a script that must succeed. */
  outputOf(script: string, request?: Partial<RunRequest>): Promise<string>;
  request(command: string | readonly [string, ...string[]], more?: Partial<RunRequest>): RunRequest;
}

export async function openBench(options: Partial<RuncSandboxOptions> = {}): Promise<Bench> {
  const dir = await tempDir();
  const rootfs = join(dir.path, 'rootfs');
  const stateDir = join(dir.path, 'state');
  await mkdir(rootfs);
  await busyboxRootfs(rootfs);
  const sandbox = expectOk(await openRuncSandbox({ stateDir: toHostPath(stateDir), ...options }));
  const bench: Omit<Bench, keyof AsyncDisposable> = {
    ...{ dir: dir.path, stateDir, rootfs, sandbox },
    request: (command, more) => requestFor(rootfs, command, more),
    async run(command, more) {
      const log = collectLog();
      const result = await sandbox.run(requestFor(rootfs, command, { output: log, ...more }), {});
      return { result, output: log.text() };
    },
    async outputOf(script, more) {
      const { result, output } = await bench.run(script, more);
      const exit = expectOk(result);
      if (exit.type !== 'exited' || exit.code !== 0) throw new Error(`${JSON.stringify(exit)}: ${output}`);
      return output;
    },
  };
  return {
    ...bench,
    async [Symbol.asyncDispose]() {
      await sandbox[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

export function requestFor(
  rootfs: string,
  command: string | readonly [string, ...string[]],
  more: Partial<RunRequest> = {},
): RunRequest {
  return {
    argv: typeof command === 'string' ? ['/bin/sh', '-c', command] : command,
    cwd: '/',
    env: { PATH: '/bin:/usr/bin', HOME: '/root' },
    user: { uid: 0, gid: 0 },
    network: 'none',
    limits: {},
    volumes: rootfsOnly(rootfs),
    mounts: [],
    secrets: [],
    output: { write: async () => {} },
    signal: new AbortController().signal,
    ...more,
  };
}

function rootfsOnly(path: string): ReadonlyMap<VolumeName, Volume> {
  const volume = volumeAt(path);
  return new Map([[volume.name, volume]]);
}

/** A volume that is a plain directory. */
export function volumeAt(path: string): Volume {
  return {
    name: toVolumeName('rootfs'),
    mount: async () => ok({ path: toHostPath(path), [Symbol.asyncDispose]: async () => {} }),
  };
}

/** Everything of a sandbox that can be seen on the host: its cgroups, its mounts, its bundles and containers. */
export async function tracesOf(stateDir: string): Promise<readonly string[]> {
  const identity = (await readFile(join(stateDir, 'identity'), 'utf8').catch(() => 'none')).trim();
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(stateDir))
    .filter((line) => !/\/run(\/empty)? tmpfs /.test(line));
  const cgroups = (await cgroupRoots()).map((root) => join(root, `snapstep-${identity}`));
  const containers = await Promise.all(
    cgroups.map(async (parent) => (await list(parent)).map((name) => join(parent, name))),
  );
  const files = await Promise.all(
    ['bundles', 'runtime'].map(async (name) =>
      (await list(join(stateDir, 'run', name))).map((entry) => join(name, entry)),
    ),
  );
  return [...mounts, ...containers.flat(), ...files.flat()];
}

/** The host's processes whose command line contains `text`. */
export async function processesWith(text: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(text));
}

/** Where cgroups are mounted: one place for each controller, or for a few, on version 1. */
export async function cgroupRoots(): Promise<string[]> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  return mounts.flatMap(([, target, type]) => (type?.startsWith('cgroup') && target ? [target] : []));
}

/** The directories in a cgroup, or the entries of a directory; what a runtime caches for all containers is no trace. */
async function list(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory() && entry.name !== '.cache').map(({ name }) => name);
}
