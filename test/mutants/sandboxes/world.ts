import { join } from 'node:path';
import { err, failed, ok, orThrow, type SandboxError } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { oddUsers } from './odd-users.ts';
import { runtimeThat } from './runtime-that.ts';
import { type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

const environments: readonly SandboxBreakage[] = [
  {
    name: 'environment-of-the-host',
    breaks: 'env',
    first: ['gives exactly the environment'],
    run: (run) => (request) => {
      const own = Object.entries(process.env).filter(([name]) => /^\w+$/.test(name));
      const host = Object.fromEntries(own.map(([name, value]) => [name, value ?? '']));
      return run({ ...request, env: { ...host, ...request.env } });
    },
  },
  {
    name: 'adds-a-path',
    breaks: 'env',
    first: ['adds nothing to an environment'],
    run: (run) => (request) => run({ ...request, env: { PATH: '/bin:/usr/bin', ...request.env } }),
  },
  {
    name: 'drops-empty-variables',
    breaks: 'env',
    first: ['gives exactly the environment'],
    run: (run) => (request) => {
      const full = Object.entries(request.env).filter(([, value]) => value !== '');
      return run({ ...request, env: Object.fromEntries(full) });
    },
  },
  {
    name: 'environment-by-lines',
    breaks: 'env',
    first: ['gives values with line ends'],
    run: (run) => (request) =>
      run({ ...request, env: mapValues(request.env, (value) => value.split('\n')[0] ?? '') }),
  },
  {
    name: 'environment-cut-at-equals',
    breaks: 'env',
    first: ['gives values with line ends'],
    run: (run) => (request) =>
      run({ ...request, env: mapValues(request.env, (value) => value.split('=')[0] ?? '') }),
  },
  {
    name: 'working-directory-not-made',
    breaks: 'cwd',
    first: ['makes the working directory'],
    run: (run) => (request) => {
      const script = 'cd "$0" 2>/dev/null; exec "$@"';
      return run({ ...request, cwd: '/', argv: ['/bin/sh', '-c', script, request.cwd, ...request.argv] });
    },
  },
  {
    name: 'working-directory-of-the-user',
    breaks: 'cwdOwner',
    first: ['makes the working directory'],
    run: (run) => async (request) => {
      const { uid, gid } = request.user;
      const chown = ['/bin/sh', '-c', 'rmdir "$0" 2>/dev/null && mkdir "$0" && chown "$1" "$0"'] as const;
      await run({
        ...request,
        user: { uid: 0, gid: 0 },
        output: { write: async () => {} },
        argv: [...chown, request.cwd, `${uid}:${gid}`],
      });
      return run(request);
    },
  },
];

const users: readonly SandboxBreakage[] = [
  {
    name: 'everybody-is-root',
    breaks: 'user',
    first: ['runs as the user, with the groups'],
    run: (run) => (request) => run({ ...request, user: { uid: 0, gid: 0 } }),
  },
  {
    name: 'groups-of-the-host',
    breaks: 'groups',
    first: ['runs as the user, with the groups'],
    runtime: (dir) => runtimeThat(dir, 's/"additionalGids":\\[\\]/"additionalGids":[4,24]/'),
  },
  {
    name: 'invents-accounts',
    breaks: 'account',
    first: ['knows no user of a name'],
    change: ({ sandbox }) => ({
      account: async (user, volumes) =>
        (await sandbox.account(user, volumes)).map((found) => found ?? { uid: 1000, gid: 1000, home: '/' }),
    }),
  },
  {
    name: 'accounts-of-the-host',
    breaks: 'account',
    first: ['knows the users of the volumes'],
    change: ({ sandbox }) => ({
      account: async (user, volumes) =>
        'name' in user && user.name !== 'root' ? ok(undefined) : await sandbox.account(user, volumes),
    }),
  },
  {
    name: 'unknown-user-is-a-failure',
    breaks: 'account',
    first: ['knows no user of a name'],
    change: ({ sandbox }) => ({
      account: async (user, volumes) =>
        (await sandbox.account(user, volumes)).andThen((found) =>
          found === undefined ? err(failed('there is no such user')) : ok(found),
        ),
    }),
  },
  {
    name: 'account-fails-in-its-own-words',
    breaks: 'outcomes',
    first: ['says that it cannot look'],
    change: ({ sandbox }) => ({
      account: async (user, volumes) =>
        (await sandbox.account(user, volumes)).mapErr(
          ({ type }) => ({ type: 'no-passwd', cause: type }) as unknown as SandboxError,
        ),
    }),
  },
  {
    name: 'account-throws',
    breaks: 'outcomes',
    first: ['says that it cannot look'],
    change: ({ sandbox }) => ({
      account: async (user, volumes) => ok(orThrow(await sandbox.account(user, volumes))),
    }),
  },
  {
    name: 'no-shell-yet',
    breaks: 'described',
    first: ['has all that the builder asks for'],
    change: () => ({ defaultShell: [''] }),
  },
  {
    name: 'located-in-the-parent',
    breaks: 'locate',
    first: ['says where a file must be put'],
    change: ({ sandbox }) => ({
      locate: (path) => {
        const at = sandbox.locate(path);
        return at && { ...at, path: join('/volume', at.path) };
      },
    }),
  },
  {
    name: 'located-by-text',
    breaks: 'locateInside',
    first: ['locates nothing outside'],
    change: ({ sandbox }) => ({
      locate: (path) => ({ volume: sandbox.layout[0] ?? failWithoutLayout(), path }),
    }),
  },
];

const walls: readonly SandboxBreakage[] = [
  {
    name: 'network-always',
    breaks: 'noNetwork',
    first: ['reaches nobody without a network'],
    run: (run) => (request) => run({ ...request, network: 'host' }),
  },
  {
    name: 'network-never',
    breaks: 'hostNetwork',
    first: ['reaches nobody without a network'],
    run: (run) => (request) => run({ ...request, network: 'none' }),
  },
  {
    name: 'abstract-sockets-of-the-host',
    breaks: 'noNetwork',
    first: ['sees no abstract sockets'],
    // As with packet filters in place of a namespace of its own.
    run: (run) => (request) => run({ ...request, network: 'host' }),
  },
  {
    name: 'loopback-is-down',
    breaks: 'loopback',
    first: ['reaches itself on 127.0.0.1 without a network'],
    // A network that nobody has set up.
    runtime: (dir) => runtimeThat(dir, 's/,{"type":"network"}//', { through: 'unshare --net' }),
  },
  {
    name: 'processes-of-the-host',
    breaks: 'apart',
    first: ['does not see the processes of a command beside it'],
    runtime: (dir) => runtimeThat(dir, 's/{"type":"pid"},//'),
  },
  {
    name: 'signals-to-neighbours',
    breaks: 'apart',
    first: ['cannot signal a command beside it'],
    runtime: (dir) => runtimeThat(dir, 's/{"type":"pid"},//'),
  },
  {
    name: 'shared-memory-of-the-host',
    breaks: 'apart',
    first: ['shares no memory with a command'],
    runtime: (dir) => runtimeThat(dir, 's/{"type":"ipc"},//; s/{"destination":"\\/dev\\/mqueue"[^}]*},//'),
  },
  {
    name: 'fewer-at-once-than-said',
    breaks: 'concurrency',
    first: ['runs 20 commands at once'],
    run: (run) => {
      let running = 0;
      return async (request) => {
        if (running === 8) return err(failed('all 8 users are busy'));
        running += 1;
        return run(request).finally(() => {
          running -= 1;
        });
      };
    },
  },
];

export const worldMutants: readonly Mutant[] = [...environments, ...users, ...oddUsers, ...walls].map(
  sandboxMutant,
);

function mapValues(
  env: Readonly<Record<string, string>>,
  change: (value: string) => string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, change(value)]));
}

function failWithoutLayout(): never {
  throw new Error('the healthy sandbox has no volumes');
}
