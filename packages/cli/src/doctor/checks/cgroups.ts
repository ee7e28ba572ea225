import { type Check, fine, notApplicable, problem, warning } from '../check.ts';

/** What the limits on memory, processors and processes are made with. */
const NEEDED = ['memory', 'cpu', 'pids'];

export const cgroups: Check = {
  name: 'cgroups',
  async look({ platform, sandbox, read }) {
    if (platform !== 'linux' || sandbox !== 'runc') return notApplicable('there are no containers');
    const mounts = parseCgroupMounts((await read('/proc/self/mountinfo')) ?? '');
    const v1 = mounts.filter(({ type }) => type === 'cgroup');
    const v2 = mounts.find(({ type }) => type === 'cgroup2');
    if (mounts.length === 0) {
      return problem(
        'no cgroups are mounted, and containers need them',
        'mount -t cgroup2 none /sys/fs/cgroup',
      );
    }
    if (mounts.every(({ isReadOnly }) => isReadOnly)) {
      return problem(
        'the cgroups are mounted read-only',
        'run in the host’s cgroup namespace: --cgroupns=host',
      );
    }
    const layout = v1.length === 0 ? 'cgroup v2' : v2 ? 'cgroup v1, with v2 beside it' : 'cgroup v1';
    const offered =
      v1.length > 0 ? v1.flatMap(({ options }) => options) : await controllersOf(v2?.target, read);
    const lacking = NEEDED.filter((controller) => !offered.includes(controller));
    if (lacking.length === 0) return fine(layout);
    return warning(
      `${layout}: without the controllers ${lacking.join(', ')}, a build that asks for such limits is refused`,
      `boot with cgroup_enable=${lacking.join(',')}`,
    );
  },
};

interface CgroupMount {
  readonly target: string;
  readonly type: 'cgroup' | 'cgroup2';
  readonly options: readonly string[];
  readonly isReadOnly: boolean;
}

/** The cgroup lines of proc_pid_mountinfo(5). */
function parseCgroupMounts(mountinfo: string): CgroupMount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [type, , options = ''] = after.split(' ');
    const [target = '', mountOptions = ''] = before.split(' ').slice(4);
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    return [
      { target, type, options: options.split(','), isReadOnly: mountOptions.split(',').includes('ro') },
    ];
  });
}

async function controllersOf(
  target: string | undefined,
  read: (file: string) => Promise<string | undefined>,
): Promise<string[]> {
  return ((await read(`${target}/cgroup.controllers`)) ?? '').trim().split(' ');
}
