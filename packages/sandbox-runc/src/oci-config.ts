import type { Owner } from '@snapstep/core/backend';
import type { Rlimit } from './resource-ceilings.ts';
import type { SeccompProfile } from './seccomp.ts';

/** One entry of `mounts` in the OCI runtime specification. */
export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** `linux.resources` of the OCI runtime specification, as far as we use it. */
export interface OciResources {
  readonly devices: readonly { readonly allow: boolean; readonly access: string }[];
  readonly memory?: { readonly limit: number; readonly swap?: number };
  readonly cpu?: { readonly quota: number; readonly period: number };
  readonly pids?: { readonly limit: number };
}

/** What all containers of a sandbox have in common. */
export interface ContainerDefaults {
  readonly capabilities: readonly string[];
  readonly rlimits: readonly Rlimit[];
  readonly seccomp: SeccompProfile;
  readonly noNewPrivileges: boolean;
  readonly cgroupNamespace: boolean;
  readonly maskedPaths: readonly string[];
}

export interface ContainerRequest {
  readonly rootfs: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: Owner;
  readonly groups: readonly number[];
  readonly network: 'none' | 'host';
  readonly mounts: readonly OciMount[];
  readonly cgroup?: { readonly path: string; readonly resources: OciResources };
}

/**
 * The `config.json` of one container.
 * https://github.com/opencontainers/runtime-spec/blob/main/config.md
 */
export function ociConfig(defaults: ContainerDefaults, request: ContainerRequest): object {
  const granted = defaults.capabilities;
  return {
    ociVersion: '1.0.2',
    root: { path: request.rootfs, readonly: false },
    hostname: 'builder',
    process: {
      terminal: false,
      user: { ...ids(request.user), umask: 0o022, additionalGids: request.groups },
      args: request.argv,
      env: Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
      cwd: request.cwd,
      // Inheritable capabilities would survive into programs of other users (CVE-2022-24769).
      capabilities: {
        bounding: granted,
        effective: granted,
        permitted: granted,
        inheritable: [],
        ambient: [],
      },
      rlimits: defaults.rlimits,
      noNewPrivileges: defaults.noNewPrivileges,
    },
    mounts: [rootWithoutDevices(request.rootfs), ...SYSTEM_MOUNTS, ...request.mounts],
    linux: {
      namespaces: namespaces(defaults, request.network),
      maskedPaths: defaults.maskedPaths,
      readonlyPaths: READ_ONLY,
      seccomp: defaults.seccomp,
      ...(request.cgroup && { cgroupsPath: request.cgroup.path, resources: request.cgroup.resources }),
    },
  };
}

const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** No view of the cgroups: a fresh /sys has none, and no build tool needs one to run. */
const SYSTEM_MOUNTS: readonly OciMount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  // Docker's 64 MiB are too few for the test suites of databases and browsers.
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=512m'],
  },
  {
    destination: '/dev/mqueue',
    type: 'mqueue',
    source: 'mqueue',
    options: ['nosuid', 'noexec', 'nodev'],
  },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

/**
 * Device nodes mean nothing in the root file system, though the rules about devices allow those that `/dev` has.
 *
 * A runtime mounts the root by itself, with no options. This changes that mount, and needs no process for it. In `/` crun
 * would see nothing to mount at, and it wants a source that is there. Where the store's disk is mounted with `nosuid` or
 * `noexec`, that does not hold in a step.
 */
function rootWithoutDevices(rootfs: string): OciMount {
  return { destination: '/.', type: 'bind', source: rootfs, options: ['remount', 'bind', 'nodev'] };
}

function namespaces(defaults: ContainerDefaults, network: 'none' | 'host'): { type: string }[] {
  const types = ['pid', 'ipc', 'uts', 'mount'];
  if (network === 'none') types.push('network');
  if (defaults.cgroupNamespace) types.push('cgroup');
  return types.map((type) => ({ type }));
}

function ids({ uid, gid }: Owner): Owner {
  return { uid, gid };
}
