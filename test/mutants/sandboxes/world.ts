import { join } from 'node:path';
import { err, failed, ok } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { runtimeThat } from './runtime-that.ts';
import { type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

const environments: readonly SandboxBreakage[] = [
  {
    name: 'environment-of-the-host',
    promise: '`env` is the whole environment of the command',
    killedBy: /`env` is the whole environment of the command/,
    first: ['gives exactly the environment'],
    run: (run) => (request) => {
      const own = Object.entries(process.env).filter(([name]) => /^\w+$/.test(name));
      const host = Object.fromEntries(own.map(([name, value]) => [name, value ?? '']));
      return run({ ...request, env: { ...host, ...request.env } });
    },
  },
  {
    name: 'adds-a-path',
    promise: 'the sandbox adds nothing to an environment, no `PATH` either',
    killedBy: /the sandbox adds nothing to `env`/,
    first: ['adds nothing to an environment'],
    run: (run) => (request) => run({ ...request, env: { PATH: '/bin:/usr/bin', ...request.env } }),
  },
  {
    name: 'drops-empty-variables',
    promise: 'a variable without a value is one',
    killedBy: /`env` is the whole environment of the command/,
    first: ['gives exactly the environment'],
    run: (run) => (request) => {
      const full = Object.entries(request.env).filter(([, value]) => value !== '');
      return run({ ...request, env: Object.fromEntries(full) });
    },
  },
  {
    name: 'working-directory-not-made',
    promise: '`cwd` is made where it does not exist',
    killedBy: /`cwd` is where the command runs/,
    first: ['makes the working directory'],
    run: (run) => (request) => {
      const script = 'cd "$0" 2>/dev/null; exec "$@"';
      return run({ ...request, cwd: '/', argv: ['/bin/sh', '-c', script, request.cwd, ...request.argv] });
    },
  },
  {
    name: 'working-directory-of-the-user',
    promise: 'a `cwd` that was made is owned by root',
    killedBy: /a `cwd` that was made/,
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
    promise: 'the command runs as `user`',
    killedBy: /the command runs as `user`/,
    first: ['runs as the user, with the groups'],
    run: (run) => (request) => run({ ...request, user: { uid: 0, gid: 0 } }),
  },
  {
    name: 'groups-of-the-host',
    promise: "the command has the user's groups and no others",
    killedBy: /the command has the user's groups and no others/,
    first: ['runs as the user, with the groups'],
    runtime: (dir) => runtimeThat(dir, 's/"additionalGids":\\[\\]/"additionalGids":[4,24]/'),
  },
  {
    name: 'invents-accounts',
    promise: '`account` is undefined for a name that nobody has',
    killedBy: /`account` is undefined for a name that nobody has/,
    first: ['knows no user of a name'],
    change: ({ sandbox }) => ({
      account: async (user, volumes) =>
        (await sandbox.account(user, volumes)).map((found) => found ?? { uid: 1000, gid: 1000, home: '/' }),
    }),
  },
  {
    name: 'accounts-of-the-host',
    promise: '`account` knows the users of the volumes',
    killedBy: /`account` knows "builder"/,
    first: ['knows the users of the volumes'],
    change: ({ sandbox }) => ({
      account: async (user, volumes) =>
        'name' in user && user.name !== 'root' ? ok(undefined) : await sandbox.account(user, volumes),
    }),
  },
  {
    name: 'located-in-the-parent',
    promise: '`locate` agrees with what commands see',
    killedBy: /`locate` (says where|agrees with what commands see)/,
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
    promise: '`locate` never leads out of a volume',
    killedBy: /`locate` never leads out of a volume/,
    first: ['locates nothing outside'],
    change: ({ sandbox }) => ({
      locate: (path) => ({ volume: sandbox.layout[0] ?? failWithoutLayout(), path }),
    }),
  },
];

const walls: readonly SandboxBreakage[] = [
  {
    name: 'network-always',
    promise: 'a command with network `none` reaches nobody',
    killedBy: /a command with network `none` does not reach/,
    first: ['reaches nobody without a network'],
    run: (run) => (request) => run({ ...request, network: 'host' }),
  },
  {
    name: 'network-never',
    promise: "a command with network `host` has the host's",
    killedBy: /a command with network `host` has the host's/,
    first: ['reaches nobody without a network'],
    run: (run) => (request) => run({ ...request, network: 'none' }),
  },
  {
    name: 'abstract-sockets-of-the-host',
    promise: "a command with network `none` has none of the host's abstract sockets",
    killedBy: /abstract sockets/,
    first: ['sees no abstract sockets'],
    // As with packet filters in place of a namespace of its own.
    run: (run) => (request) => run({ ...request, network: 'host' }),
  },
  {
    name: 'processes-of-the-host',
    promise: 'commands that run at once do not see each other',
    killedBy: /commands that run at once (do not see|cannot signal) each other/,
    first: ['does not see the processes of a command beside it'],
    runtime: (dir) => runtimeThat(dir, 's/{"type":"pid"},//'),
  },
  {
    name: 'signals-to-neighbours',
    promise: 'commands that run at once cannot signal each other',
    killedBy: /commands that run at once cannot signal each other/,
    first: ['cannot signal a command beside it'],
    runtime: (dir) => runtimeThat(dir, 's/{"type":"pid"},//'),
  },
  {
    name: 'shared-memory-of-the-host',
    promise: 'commands that run at once share no memory',
    killedBy: /a command sees no shared memory of the host's/,
    first: ['shares no memory with a command'],
    runtime: (dir) => runtimeThat(dir, 's/{"type":"ipc"},//; s/{"destination":"\\/dev\\/mqueue"[^}]*},//'),
  },
  {
    name: 'fewer-at-once-than-said',
    promise: 'as many commands can run at once as `concurrency` says',
    killedBy: /commands that run at once do not get in each other's way/,
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

export const worldMutants: readonly Mutant[] = [...environments, ...users, ...walls].map(sandboxMutant);

function failWithoutLayout(): never {
  throw new Error('the healthy sandbox has no volumes');
}
