import { chmod, mkdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { err, type Failed, type Inside, ok, type Result, type RunRequest } from '@snapstep/core/backend';
import createDebug from 'debug';
import type { OciMount } from './oci-config.ts';
import type { Places } from './places.ts';
import type { World } from './world.ts';

const debug = createDebug('snapstep:mounts');

/** The files that are mounted into containers beside what the request asks for. */
export interface MountedFiles {
  readonly hosts: string;
  /** Absent where the container has no network, or the host has no such file. */
  readonly resolvConf?: string;
  /** One for each secret of the request, in its order. */
  readonly secrets: readonly string[];
}

/**
 * Makes the mount points of one step, its working directory last.
 *
 * @returns The mounts in the order in which they must be made, and where the working directory is.
 */
export async function prepareMounts(
  places: Places,
  request: Pick<RunRequest, 'cwd' | 'secrets'> & { readonly caches: World['caches'] },
  files: MountedFiles,
): Promise<Result<{ readonly mounts: readonly OciMount[]; readonly cwd: string }, Failed>> {
  const system = await places.prepareSystem();
  if (system.isErr()) return err(system.error);
  const mounts: OciMount[] = [];
  for (const { target, source, directory, optional, options } of wanted(request, files)) {
    const destination = await places.mountPoint(target, directory ? source : undefined);
    if (destination.isOk()) mounts.push({ destination: destination.value, type: 'none', source, options });
    else if (!optional) return err(destination.error);
    else debug('left as the image has it: %s', destination.error.message);
  }
  const cwd = await places.workingDirectory(request.cwd);
  if (cwd.isErr()) return err(cwd.error);
  if (cwd.value.inside) await makeDirectories(cwd.value.inside);
  return ok({ mounts, cwd: cwd.value.place });
}

interface Wanted {
  readonly target: string;
  readonly source: string;
  readonly directory: boolean;
  /** An image may have something odd where we would put a file of ours, such as a link to /dev/null. */
  readonly optional: boolean;
  readonly options: readonly string[];
}

const READ_ONLY_FILE = ['bind', 'private', 'ro', 'nosuid', 'nodev', 'noexec'];

/**
 * Caches first, sorted, then files: what contains a target comes before it, also where a link leads into it. What the
 * request wants to have mounted wins over ours.
 */
function wanted(
  request: Pick<RunRequest, 'secrets'> & { readonly caches: World['caches'] },
  files: MountedFiles,
): readonly Wanted[] {
  const file = (target: string, source: string): Wanted => ({
    ...{ target: posix.normalize(target), source, directory: false, options: READ_ONLY_FILE },
    optional: false,
  });
  const caches = request.caches.map(({ target, path, readOnly }) => ({
    ...{ target: posix.normalize(target), source: path, directory: true, optional: false },
    options: ['bind', 'private', readOnly ? 'ro' : 'rw', 'nosuid', 'nodev'],
  }));
  const secrets = request.secrets.map(({ target }, index) => file(target, files.secrets[index] ?? ''));
  const ours = [
    file('/etc/hosts', files.hosts),
    ...(files.resolvConf === undefined ? [] : [file('/etc/resolv.conf', files.resolvConf)]),
  ].filter(({ target }) => ![...caches, ...secrets].some((other) => other.target === target));
  return [
    ...caches.sort((a, b) => (a.target < b.target ? -1 : 1)),
    ...secrets,
    ...ours.map((each) => ({ ...each, optional: true })),
  ];
}

/** Not left to the umask of the host program, and owned by root like it. */
async function makeDirectories({ existing, missing }: Inside): Promise<void> {
  let path = existing;
  for (const name of missing) {
    path = join(path, name);
    await mkdir(path);
    await chmod(path, 0o755);
  }
}
