import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import {
  cancelled,
  err,
  failed,
  ok,
  type RunRequest,
  type Sandbox,
  toVolumeName,
} from '@snapstep/core/backend';

const LAST_WORDS_MS = 500;

/** How a sandbox without namespaces ends what a command has started. */
export type End = (command: { readonly child: ChildProcess; readonly root: string }) => Promise<void>;

/**
 * A sandbox of nothing but `chroot`, as a first draft would be. It keeps the promises about processes where `end` does.
 *
 * @param settle - What of the command is waited for: its own end, or that of its output.
 */
export function chrootSandbox(end: End, settle: 'exit' | 'close' = 'exit'): Sandbox {
  const rootfs = toVolumeName('rootfs');
  return {
    name: 'chroot',
    requires: [],
    layout: [rootfs],
    enforces: [],
    concurrency: 1,
    defaultShell: ['/bin/sh', '-c'],
    defaultPath: '/bin:/usr/bin',
    locate: (path) => ({ volume: rootfs, path }),
    account: async () => ok(undefined),
    async run(request) {
      if (request.signal.aborted) return err(cancelled(request.signal));
      const mounted = await request.volumes.get(rootfs)?.mount();
      if (mounted?.isOk() !== true) return err(failed('a chroot needs a volume "rootfs"'));
      await using place = mounted.value;
      const child = start(request, place.path);
      const kill = () => void end({ child, root: place.path });
      request.signal.addEventListener('abort', kill);
      const copied = copyOutput(child, request);
      const [code] = await once(child, settle);
      await end({ child, root: place.path });
      // What holds the output open must not hold us up.
      await Promise.race([copied, delay(LAST_WORDS_MS)]);
      child.stdout?.destroy();
      if (request.signal.aborted) return err(cancelled(request.signal));
      return ok({ type: 'exited', code: code ?? 137 });
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** The process that was started, and no other. */
export const endChild: End = async ({ child }) => void child.kill('SIGKILL');

/** The process group: not what has left it. */
export const endGroup: End = async ({ child }) => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nothing of it runs any more.
  }
};

/** All that runs in the root file system, until nothing does. */
export const endAll = async ({ root }: { readonly root: string }): Promise<void> => {
  for (let pids = await pidsIn(root); pids.length > 0; pids = await pidsIn(root)) {
    for (const pid of pids) kill(pid);
  }
};

/** The processes whose root directory lies in a directory. */
async function pidsIn(directory: string): Promise<readonly number[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const roots = await Promise.all(names.map((name) => readlink(`/proc/${name}/root`).catch(() => '')));
  return names.filter((_, i) => roots[i]?.startsWith(directory)).map(Number);
}

function start(request: RunRequest, root: string): ChildProcess {
  const argv = ['-c', 'exec "$0" "$@" 2>&1', 'chroot', root, ...request.argv];
  return spawn('/bin/sh', argv, {
    env: { ...request.env, PATH: `${request.env.PATH}:/usr/sbin:/sbin` },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
}

async function copyOutput({ stdout }: ChildProcess, { output }: RunRequest): Promise<void> {
  try {
    for await (const chunk of stdout ?? []) await output.write(chunk);
  } catch {
    // It was closed early.
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
