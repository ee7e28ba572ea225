import { err, ok } from 'neverthrow';
import { cancelled } from '../backend/failures.ts';
import { type HostPath, type Owner, toVolumeName } from '../backend/names.ts';
import type { Exit, RunRequest, Sandbox } from '../backend/sandbox.ts';

/** What a command does, in place of a process. */
export type ScriptedCommand = (io: {
  readonly request: RunRequest;
  /** The step's root file system. */
  readonly root: HostPath;
  /** Where a cache is, by its target. */
  readonly mounts: ReadonlyMap<string, HostPath>;
}) => Promise<Exit | number | undefined>;

export interface ScriptedSandbox extends Sandbox {
  /** The commands that were run, in the order of their start. */
  readonly ran: readonly string[];
}

/**
 * A sandbox for tests of programs that embed Snapstep: each command is a function, looked up by the text that
 * the spec gives, and may change the step's files, print, fail or wait for the request's signal.
 * An exit code of 0 may be left out. A command that is not in the script throws.
 */
export function scriptedSandbox(script: Readonly<Record<string, ScriptedCommand>>): ScriptedSandbox {
  const ran: string[] = [];
  const rootfs = toVolumeName('rootfs');
  return {
    name: 'scripted',
    ran,
    requires: [],
    layout: [rootfs],
    enforces: ['memoryBytes', 'cpus', 'pids', 'timeoutMs', 'silenceMs'],
    concurrency: Number.POSITIVE_INFINITY,
    defaultShell: ['sh', '-c'],
    defaultPath: '/bin:/usr/bin',
    locate: (path) => ({ volume: rootfs, path }),
    account: async (user) => ok('name' in user ? undefined : { ...possibleOwner(user), home: '/' }),
    run: async (request) => {
      if (request.signal.aborted) return err(cancelled(request.signal));
      const name = request.argv.at(-1) ?? '';
      const command = script[name];
      if (command === undefined) throw new Error(`the script has no command "${name}"`);
      ran.push(name);
      await using held = await mountAll(request);
      const exit = await command({ request, root: held.root, mounts: held.mounts }).catch(
        (error: unknown) => {
          if (request.signal.aborted) return undefined;
          throw error;
        },
      );
      if (request.signal.aborted) return err(cancelled(request.signal));
      return ok(typeof exit === 'object' ? exit : { type: 'exited', code: exit ?? 0 });
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Only root can give files away: for anybody else, all users of the step's world are the one who runs the test. */
function possibleOwner(owner: Owner): Owner {
  const [uid, gid] = [process.getuid?.() ?? owner.uid, process.getgid?.() ?? owner.gid];
  return uid === 0 ? owner : { uid, gid };
}

async function mountAll(
  request: RunRequest,
): Promise<AsyncDisposable & { readonly root: HostPath; readonly mounts: ReadonlyMap<string, HostPath> }> {
  const volumes = [...request.volumes.values(), ...request.mounts.map(({ volume }) => volume)];
  const mounted = await Promise.all(volumes.map(async (volume) => (await volume.mount())._unsafeUnwrap()));
  const root = mounted[0]?.path;
  if (root === undefined) throw new Error('a step has at least one volume');
  const targets = request.mounts.map(
    ({ target }, i) => [target, mounted[request.volumes.size + i]?.path ?? root] as const,
  );
  return {
    root,
    mounts: new Map(targets),
    [Symbol.asyncDispose]: async () => {
      for (const mount of mounted) await mount[Symbol.asyncDispose]();
    },
  };
}
