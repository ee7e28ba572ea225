import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  directoryVolume,
  orThrow,
  runCommand,
  type SecretFile,
  toHostPath,
  type Volume,
} from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { inRootfs, thenInRootfs } from './in-rootfs.ts';
import { runtimeThat } from './runtime-that.ts';
import { type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

const secrets: readonly SandboxBreakage[] = [
  {
    name: 'secret-leaves-a-stub',
    promise: 'secrets leave no trace in the volumes',
    killedBy: /a secret leaves no trace in the volumes/,
    first: ['takes a secret away with the command'],
    run: thenInRootfs(async (request, root) => {
      for (const { target } of request.secrets) await makeFile(join(root, target));
    }),
  },
  {
    name: 'secret-of-the-step-before',
    promise: 'a secret is there for one command only',
    killedBy: /the next command does not see a secret of the one before/,
    first: ['takes a secret away with the command'],
    run: (run) => {
      let known: readonly SecretFile[] = [];
      return (request) => {
        const secrets = request.secrets.length > 0 ? request.secrets : known;
        known = secrets;
        return run({ ...request, secrets });
      };
    },
  },
  {
    name: 'secret-in-the-volume',
    promise: 'a secret is on no disk',
    killedBy: /a secret (is read-only|leaves no trace|belongs|can be read by)/,
    first: ['takes a secret away with the command', 'does not let a command change or remove a secret'],
    run: (run) => async (request) => {
      await inRootfs(request, async (root) => {
        for (const { target, value } of request.secrets) await makeFile(join(root, target), value);
      });
      return run({ ...request, secrets: [] });
    },
  },
  {
    name: 'secret-on-the-disk-of-the-host',
    promise: 'the value of a secret is on no disk',
    killedBy: /the value of a secret is on no disk/,
    first: ['keeps a secret on no disk'],
    runtime: (dir) =>
      runtimeThat(dir, `s#"source":"[^"]*/secrets/0"#"source":"${dir}/secret"#`, {
        before: `cp -p "$arg/secrets/0" "${dir}/secret"`,
      }),
  },
  {
    name: 'secret-is-text',
    promise: 'a secret is bytes of any kind',
    killedBy: /secrets are whole/,
    first: ['gives bytes of any kind and length'],
    run: (run) => (request) =>
      run({
        ...request,
        secrets: request.secrets.map(({ target, value }) => ({
          target,
          value: Buffer.from(Buffer.from(value).toString('utf8')),
        })),
      }),
  },
  {
    name: 'secret-on-the-command-line',
    promise: 'a secret is on no command line and in no environment',
    killedBy: /a secret is on no command line and in no environment/,
    first: ['shows a secret in no list of processes'],
    run: (run) => (request) => {
      const values = request.secrets.map(({ value }) =>
        Buffer.from(value).toString('latin1').replaceAll('\0', ''),
      );
      const script = 'count=$1; shift "$((count + 1))"; exec "$@"';
      // A shell stays, with all that it was given, while the command runs.
      const argv = ['/bin/sh', '-c', `(${script}); exit $?`, 'sh', `${values.length}`, ...values] as const;
      return run(request.secrets.length === 0 ? request : { ...request, argv: [...argv, ...request.argv] });
    },
  },
];

const caches: readonly SandboxBreakage[] = [
  {
    name: 'no-cache-in-a-cache',
    promise: 'a cache may lie in another',
    killedBy: /a cache may lie in another/,
    first: ['mounts one cache in another'],
    run: (run) => (request) => {
      const isInner = (target: string) =>
        request.mounts.some((other) => target.startsWith(`${other.target}/`));
      return run({ ...request, mounts: request.mounts.filter(({ target }) => !isInner(target)) });
    },
  },
  {
    name: 'read-only-is-ignored',
    promise: 'nobody can write to a cache that is mounted read-only',
    killedBy: /a read-only cache cannot be written/,
    first: ['does not let a command change a cache that is mounted read-only'],
    run: (run) => (request) =>
      run({ ...request, mounts: request.mounts.map((mount) => ({ ...mount, readOnly: false })) }),
  },
  {
    name: 'cache-is-a-private-copy',
    promise: 'what a command did to a cache is in it when `run` settles',
    killedBy: /what a command did to a cache is in it/,
    first: ['gives a command what is in a cache'],
    run:
      (run, { dir }) =>
      async (request) => {
        const mounts = await Promise.all(
          request.mounts.map(async (mount) => ({ ...mount, volume: await copyOf(mount.volume, dir) })),
        );
        return run({ ...request, mounts });
      },
  },
  {
    name: 'cache-only-where-its-target-is',
    promise: 'a target is made where it does not exist',
    killedBy: /a command sees what is in a cache/,
    first: ['gives a command what is in a cache'],
    run: (run) => async (request) => {
      const there = await inRootfs(request, async (root) =>
        request.mounts.map(({ target }) => existsSync(join(root, target))),
      );
      return run({ ...request, mounts: request.mounts.filter((_, i) => there[i]) });
    },
  },
  {
    name: 'target-stays',
    promise: 'mount points leave no trace in the volumes',
    killedBy: /mount points leave no trace/,
    first: ['leaves no trace of mount points'],
    run: thenInRootfs(async (request, root) => {
      for (const { target } of request.mounts) await mkdir(join(root, target), { recursive: true });
    }),
  },
  {
    name: 'mounted-after-a-failure',
    promise: 'every volume is unmounted when `run` settles, also where the command failed',
    killedBy: /every volume is unmounted when `run` settles/,
    first: ['changes nothing where the command changes nothing'],
    run: (run) => async (request) => {
      const mounts = await Promise.all([...request.volumes.values()].map((volume) => volume.mount()));
      const exit = await run(request);
      if (exit.isErr() || exit.value.type !== 'exited' || exit.value.code !== 0) return exit;
      for (const mount of mounts) if (mount.isOk()) await mount.value[Symbol.asyncDispose]();
      return exit;
    },
  },
  {
    name: 'writes-beside-the-command',
    promise: 'what the command did, and nothing else, is in the volumes',
    killedBy: /what the command did, and nothing else, is in the volumes/,
    first: ['changes nothing where the command changes nothing'],
    run: thenInRootfs((_, root) => makeFile(join(root, '.dockerenv'))),
  },
];

const owners: readonly SandboxBreakage[] = [
  {
    name: 'dead-owners-live-on',
    promise: 'killing the process that holds the sandbox, and opening another one, leaves nothing of it',
    killedBy: /opening a sandbox (ends what|leaves nothing of) a dead owner/,
    first: ['leaves nothing of a dead owner'],
    reopen: ({ dir, reopen }) => reopen(toHostPath(join(dir, 'another-state'))),
  },
];

export const volumeMutants: readonly Mutant[] = [...secrets, ...caches, ...owners].map(sandboxMutant);

async function makeFile(path: string, content: Uint8Array | string = ''): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

async function copyOf(volume: Volume, dir: string): Promise<Volume> {
  const copy = await mkdtemp(join(dir, 'copy-'));
  await using mounted = orThrow(await volume.mount());
  orThrow(await runCommand('cp', ['-aT', mounted.path, copy]));
  return directoryVolume(volume.name, copy);
}
