import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { directoryVolume, toVolumeName, type Volumes } from '@snapstep/core/backend';
import { type FetcherPlace, fetcherSuite, type SandboxPlace, sandboxSuite } from '@snapstep/core/conformance';
import {
  type ScriptedCommand,
  type ScriptedImage,
  scriptedFetcher,
  scriptedSandbox,
} from '@snapstep/core/testing';
import { busyboxRootfs, expectOk, needs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { describe, it } from 'vitest';

const rootfs = toVolumeName('rootfs');

needs('root', 'busybox')('the scripted sandbox, where every command is a real shell script', () =>
  sandboxSuite(
    { describe, it },
    {
      open: openSandbox,
      accounts: [{ name: 'root', uid: 0, gid: 0, home: '/root' }],
      // A function in this process has no processes, users, limits, networks, mounts or secrets of its own.
      except: [
        ...(['aborts', 'processes', 'limits', 'network', 'world', 'accounts', 'mounts'] as const),
        ...(['secrets', 'input', 'volumes', 'neighbours', 'past bugs', 'crash'] as const),
        // These give it a cache or a secret to mount.
        'waits for the log: of 100 MB all arrive, and they are never all in memory',
        'slows a command down to what its log can take',
        ...['at once', 'in the middle'].map(
          (when) =>
            `rejects with the reason where its log rejects ${when}, and leaves nothing of the command`,
        ),
      ],
    },
  ),
);

describe('the scripted fetcher', () =>
  fetcherSuite({ describe, it }, { open: openFetcher, except: ['unpacking'] }));

async function openSandbox(): Promise<SandboxPlace> {
  const dir = await tempDir();
  const script = new Proxy<Record<string, ScriptedCommand>>({}, { get: () => inShell });
  return {
    sandbox: scriptedSandbox(script),
    async volumes() {
      const volumes = await volumesIn(dir.path);
      for (const volume of volumes.values()) {
        const { path } = expectOk(await volume.mount());
        await busyboxRootfs(path);
        await execa('mknod', [join(path, 'dev/null'), 'c', '1', '3']);
        await execa('mknod', [join(path, 'dev/zero'), 'c', '1', '5']);
      }
      return volumes;
    },
    cache: async () => directoryVolume(toVolumeName('cache'), await mkdtemp(join(dir.path, 'cache-'))),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

/** What a script of an embedder could do: the command itself, in the step's root file system. */
const inShell: ScriptedCommand = async ({ request, root }) => {
  const inside = ['/bin/sh', '-c', 'cd "$0" && exec "$@"', request.cwd, ...request.argv];
  const joined = ['-c', 'exec "$0" "$@" 2>&1', '/usr/sbin/chroot', root, ...inside];
  const child = spawn('/bin/sh', joined, {
    env: request.env,
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  // All that the command started is in its process group.
  const stop = (): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      process.kill(-child.pid, 'SIGKILL');
    }
  };
  request.signal.addEventListener('abort', stop);
  const exited = once(child, 'close');
  try {
    for await (const chunk of child.stdout) await request.output.write(chunk);
  } catch (error) {
    stop();
    throw error;
  }
  const [code, signal] = await exited;
  return code ?? { type: 'signalled', signal };
};

/** Images with files in the root directory only: that is all that a script can say. */
async function openFetcher(): Promise<FetcherPlace> {
  const dir = await tempDir();
  const images: Record<string, ScriptedImage> = {};
  const fetcher = scriptedFetcher(images);
  return {
    fetcher,
    async goOffline() {
      fetcher.isOnline = false;
      return {
        async [Symbol.asyncDispose]() {
          fetcher.isOnline = true;
        },
      };
    },
    async publish(name, { files, config }) {
      const found = await readdir(files, { withFileTypes: true });
      const texts = found
        .filter((entry) => entry.isFile())
        .map(async (entry) => [entry.name, await readFile(join(files, entry.name), 'latin1')]);
      images[name] = { files: Object.fromEntries(await Promise.all(texts)), ...config };
      return { name, platform: 'linux/amd64' };
    },
    missing: { name: 'missing', platform: 'linux/amd64' },
    volumes: () => volumesIn(dir.path),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function volumesIn(directory: string): Promise<Volumes> {
  return new Map([[rootfs, directoryVolume(rootfs, await mkdtemp(join(directory, 'rootfs-')))]]);
}
