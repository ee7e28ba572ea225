import { err, type Failed, failed, ok, type Result, runCommand } from '@snapstep/core/backend';

/** The OCI runtime that starts the containers. */
export interface Runtime {
  readonly kind: 'runc' | 'crun';
  /** How it is called: a name on the `PATH`, or a path. */
  readonly program: string;
  /** As it says itself, such as `1.1.5+ds1`. */
  readonly version: string;
}

/**
 * Finds the runtime and asks for its version.
 *
 * @param named - The one to use. Without it: crun where it is installed, else runc.
 */
export async function findRuntime(named: string | undefined): Promise<Result<Runtime, Failed>> {
  if (named !== undefined) return askVersion(named);
  const crun = await askVersion('crun');
  if (crun.isOk()) return crun;
  const runc = await askVersion('runc');
  if (runc.isOk()) return runc;
  return err(failed(`neither crun nor runc can be used: ${crun.error.message}; ${runc.error.message}`));
}

/**
 * Whether this runtime can make a system call succeed without doing it.
 *
 * runc honours a seccomp rule's `errnoRet`, zero included, since 1.0.0-rc92; before, the call fails with EPERM.
 * https://github.com/opencontainers/runc/releases/tag/v1.0.0-rc92
 */
export function canFakeSuccess(runtime: Runtime): boolean {
  if (runtime.kind === 'crun') return true;
  const [, patch, candidate] = /^1\.0\.(\d+)-rc(\d+)/.exec(runtime.version) ?? [];
  if (patch !== undefined) return patch !== '0' || Number(candidate) >= 92;
  return !runtime.version.startsWith('0.');
}

/** `runc run --keep` leaves the cgroup of an ended container to be read. It came with runc 1.1.0. */
export function canKeepCgroup(runtime: Runtime): boolean {
  return runtime.kind === 'runc' && !/^(0|1\.0)\./.test(runtime.version);
}

/** The command line of a container's run, up to its end, in the foreground. */
export function runArguments(
  runtime: Runtime,
  run: {
    readonly root: string;
    readonly log: string;
    readonly bundle: string;
    readonly id: string;
    readonly ownCgroups: boolean;
  },
): readonly string[] {
  return [
    runtime.program,
    ...['--root', run.root, '--log', run.log, '--log-format', 'json'],
    ...(run.ownCgroups ? ['--cgroup-manager', 'disabled'] : []),
    'run',
    ...(canKeepCgroup(runtime) ? ['--keep'] : []),
    ...['--bundle', run.bundle, run.id],
  ];
}

async function askVersion(program: string): Promise<Result<Runtime, Failed>> {
  const output = await runCommand(program, ['--version']);
  if (output.isErr()) {
    return err(output.error.type === 'failed' ? output.error : failed(`${program}: cancelled`));
  }
  const [, kind, version] = /^(runc|crun) version (\S+)/m.exec(output.value) ?? [];
  if ((kind !== 'runc' && kind !== 'crun') || version === undefined) {
    return err(failed(`"${program} --version" names neither runc nor crun: ${output.value.trim()}`));
  }
  return ok({ kind, program, version });
}
