import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type CacheMount,
  directoryVolume,
  err,
  failed,
  ok,
  orThrow,
  runCommand,
  type SandboxError,
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
    breaks: 'secretGone',
    first: ['takes a secret away with the command'],
    run: thenInRootfs(async (request, root) => {
      for (const { target } of request.secrets) await makeFile(join(root, target));
    }),
  },
  {
    name: 'secret-of-the-step-before',
    breaks: 'secretGone',
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
    breaks: 'secretOwn',
    also: ['secretGone'],
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
    breaks: 'secretKept',
    first: ['keeps a secret on no disk'],
    runtime: (dir) =>
      runtimeThat(dir, `s#"source":"[^"]*/secrets/0"#"source":"${dir}/secret"#`, {
        before: `cp -p "$arg/secrets/0" "${dir}/secret"`,
      }),
  },
  {
    name: 'secret-is-text',
    breaks: 'secretWhole',
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
    breaks: 'secretKept',
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
    breaks: 'nested',
    first: ['mounts one cache in another'],
    run: (run) => (request) => {
      const isInner = (target: string) =>
        request.mounts.some((other) => target.startsWith(`${other.target}/`));
      return run({ ...request, mounts: request.mounts.filter(({ target }) => !isInner(target)) });
    },
  },
  {
    name: 'passes-over-a-cache',
    breaks: 'unmountable',
    first: ['fails with the reason where a volume cannot be mounted'],
    run: (run) => async (request) => {
      const mounts: CacheMount[] = [];
      for (const mount of request.mounts) {
        const tried = await mount.volume.mount();
        if (tried.isErr()) continue;
        await tried.value[Symbol.asyncDispose]();
        mounts.push(mount);
      }
      return run({ ...request, mounts });
    },
  },
  {
    name: 'a-full-disk-is-a-failure',
    breaks: 'noSpace',
    first: ['answers `no-space` where there is no room to mount a volume'],
    run: (run) => async (request) => (await run(request)).mapErr(withoutTag),
  },
  {
    name: 'no-room-for-a-mount-point-is-a-failure',
    breaks: 'noSpace',
    first: ['has no room for a mount point'],
    run: (run) => async (request) =>
      (await run(request)).mapErr((error) =>
        'message' in error && /ENOSPC/.test(error.message) ? withoutTag(error) : error,
      ),
  },
  {
    name: 'passes-over-a-cache-on-a-full-disk',
    breaks: 'noSpace',
    first: ['answers `no-space` where there is no room to mount a cache'],
    run: (run) => async (request) => {
      const exit = await run(request);
      if (exit.isOk() || exit.error.type !== 'no-space' || request.mounts.length === 0) return exit;
      return run({ ...request, mounts: [] });
    },
  },
  {
    name: 'throws-its-failures',
    breaks: 'outcomes',
    first: ['fails with the reason where a volume cannot be mounted'],
    run: (run) => async (request) => ok(orThrow(await run(request))),
  },
  {
    name: 'empties-a-target',
    breaks: 'hidden',
    first: ['hides what lies at a target'],
    run: (run) => async (request) => {
      await inRootfs(request, async (root) => {
        for (const { target } of request.mounts)
          await rm(join(root, target), { recursive: true, force: true });
      });
      return run(request);
    },
  },
  {
    name: 'options-end-at-commas',
    breaks: 'targets',
    first: ['mounts at targets with blanks, commas'],
    run: (run) => (request) =>
      run({ ...request, mounts: request.mounts.filter(({ target }) => !target.includes(',')) }),
  },
  {
    name: 'no-programs-in-caches',
    breaks: 'cachePrograms',
    first: ['runs programs that lie in a cache'],
    runtime: (dir) => runtimeThat(dir, 's/"nosuid","nodev"\\]/"nosuid","nodev","noexec"]/g'),
  },
  {
    name: 'locks-its-caches',
    breaks: 'sharedCache',
    first: ['gives one cache to two commands at once'],
    run: (run) => {
      const locked = new Set<Volume>();
      return async (request) => {
        const volumes = request.mounts.map(({ volume }) => volume);
        if (volumes.some((volume) => locked.has(volume))) return err(failed('the cache is in use'));
        for (const volume of volumes) locked.add(volume);
        return run(request).finally(() => {
          for (const volume of volumes) locked.delete(volume);
        });
      };
    },
  },
  {
    name: 'read-only-is-ignored',
    breaks: 'readOnly',
    first: ['does not let a command change a cache that is mounted read-only'],
    run: (run) => (request) =>
      run({ ...request, mounts: request.mounts.map((mount) => ({ ...mount, readOnly: false })) }),
  },
  {
    name: 'cache-is-a-private-copy',
    breaks: 'cache',
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
    breaks: 'cache',
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
    breaks: 'noTrace',
    first: ['leaves no trace of mount points'],
    run: thenInRootfs(async (request, root) => {
      for (const { target } of request.mounts) await mkdir(join(root, target), { recursive: true });
    }),
  },
  {
    name: 'mounted-after-a-failure',
    breaks: 'unmounted',
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
    breaks: 'did',
    first: ['changes nothing where the command changes nothing'],
    run: thenInRootfs((_, root) => makeFile(join(root, '.dockerenv'))),
  },
];

const owners: readonly SandboxBreakage[] = [
  {
    name: 'dead-owners-live-on',
    breaks: 'deadOwner',
    first: ['leaves nothing of a dead owner'],
    reopen: ({ dir, reopen }) => reopen(toHostPath(join(dir, 'another-state'))),
  },
];

export const volumeMutants: readonly Mutant[] = [...secrets, ...caches, ...owners].map(sandboxMutant);

function withoutTag(error: SandboxError): SandboxError {
  return error.type === 'no-space' ? failed(error.message, error) : error;
}

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
