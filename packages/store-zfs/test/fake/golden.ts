/** A command, and what OpenZFS 2.1 answers. `POOL` stands for the name of an empty pool. */
export interface Probe {
  readonly command: string;
  readonly code: number;
  readonly stdout?: string;
  /** How it begins, for what is followed by usage. */
  readonly stderr?: string;
}

const cannotOpen = (name: string): string => `cannot open '${name}': dataset does not exist\n`;

/** Run in this order. Guids, sizes and dates are left out, since each pool has its own. */
export const golden: readonly Probe[] = [
  { command: 'zfs create -o canmount=off -o mountpoint=none POOL/base', code: 0 },
  { command: 'zfs create -p -o canmount=noauto -o mountpoint=/run/golden/home POOL/base/home', code: 0 },
  { command: 'zfs create -p POOL/base/home', code: 0 },
  {
    command: 'zfs create POOL/base/home',
    code: 1,
    stderr: "cannot create 'POOL/base/home': dataset already exists\n",
  },
  {
    command: 'zfs create POOL/no/home',
    code: 1,
    stderr: "cannot create 'POOL/no/home': parent does not exist\n",
  },
  { command: 'zfs create -z POOL/x', code: 2, stderr: "invalid option 'z'\n" },
  { command: 'zfs create POOL/x POOL/y', code: 2, stderr: 'too many arguments\n' },
  // The words of `get` and `list`.
  { command: 'zfs get -Hp -o value mounted POOL/base/home', code: 0, stdout: 'no\n' },
  { command: 'zfs get -Hp -o value origin,written POOL/base', code: 0 },
  {
    command: 'zfs get -Hp -o property,value,source mountpoint POOL/base',
    code: 0,
    stdout: 'mountpoint\tnone\tlocal\n',
  },
  { command: 'zfs get -Hp -o value mounted POOL/no', code: 1, stderr: cannotOpen('POOL/no') },
  {
    command: 'zfs get -Hp -o value nonsense POOL/base',
    code: 2,
    stderr: "bad property list: invalid property 'nonsense'\n",
  },
  { command: 'zfs set snapstep:a=1 snapstep:b=2 POOL/base', code: 0 },
  { command: 'zfs get -Hp -o value,source snapstep:a POOL/base', code: 0, stdout: '1\tlocal\n' },
  {
    command: 'zfs get -Hp -o value,source snapstep:a POOL/base/home',
    code: 0,
    stdout: '1\tinherited from POOL/base\n',
  },
  { command: 'zfs get -Hp -o value,source snapstep:c POOL/base', code: 0, stdout: '-\t-\n' },
  { command: 'zfs set -- a:b=1 POOL/base', code: 2, stderr: "invalid option '-'\n" },
  { command: 'zfs set a:b=1 POOL/no', code: 1, stderr: cannotOpen('POOL/no') },
  // Mounts.
  { command: 'zfs mount POOL/base/home', code: 0 },
  {
    command: 'zfs mount POOL/base/home',
    code: 1,
    stderr: "cannot mount 'POOL/base/home': filesystem already mounted\n",
  },
  {
    command: 'zfs mount POOL/base',
    code: 1,
    stderr: "cannot mount 'POOL/base': no mountpoint set\n",
  },
  { command: 'zfs mount POOL/no', code: 1, stderr: cannotOpen('POOL/no') },
  { command: 'zfs unmount POOL/base/home', code: 0 },
  {
    command: 'zfs unmount POOL/base/home',
    code: 1,
    stderr: "cannot unmount 'POOL/base/home': not currently mounted\n",
  },
  { command: 'zfs mount -o ro POOL/base/home', code: 0 },
  { command: 'zfs set mountpoint=none POOL/base/home', code: 0 },
  { command: 'zfs get -Hp -o value mounted POOL/base/home', code: 0, stdout: 'no\n' },
  {
    command: 'zfs mount POOL/base/home',
    code: 1,
    stderr: "cannot mount 'POOL/base/home': no mountpoint set\n",
  },
  // Snapshots and clones.
  { command: 'zfs snapshot -r -o snapstep:volumes=home POOL/base@snap', code: 0 },
  {
    command: 'zfs snapshot -r POOL/base@snap',
    code: 1,
    stderr:
      "cannot create snapshot 'POOL/base@snap': dataset already exists\ncannot create snapshot 'POOL/base/home@snap': dataset already exists\nno snapshots were created\n",
  },
  {
    command: 'zfs snapshot POOL/base/home@snap',
    code: 1,
    stderr: "cannot create snapshot 'POOL/base/home@snap': dataset already exists\n",
  },
  { command: 'zfs snapshot -r POOL/no@snap', code: 2, stderr: cannotOpen('POOL/no') },
  {
    command: 'zfs clone -p -o canmount=noauto -o mountpoint=none POOL/base/home@snap POOL/work/home',
    code: 0,
  },
  { command: 'zfs clone -p -o canmount=noauto POOL/base/home@snap POOL/work/home', code: 0 },
  {
    command: 'zfs clone POOL/base/home@snap POOL/work/home',
    code: 1,
    stderr: "cannot create 'POOL/work/home': dataset already exists\n",
  },
  {
    command: 'zfs clone POOL/base/home@snap POOL/q/home',
    code: 1,
    stderr: "cannot create 'POOL/q/home': parent does not exist\n",
  },
  { command: 'zfs clone POOL/base@no POOL/q', code: 1, stderr: cannotOpen('POOL/base@no') },
  {
    command: 'zfs list -Hp -r -t filesystem,snapshot -o name,origin,mounted,snapstep:volumes,snapstep:a POOL',
    code: 0,
    stdout: [
      'POOL\t-\tno\t-\t-',
      'POOL/base\t-\tno\t-\t1',
      'POOL/base@snap\t-\t-\thome\t1',
      'POOL/base/home\t-\tno\t-\t1',
      'POOL/base/home@snap\t-\t-\thome\t1',
      'POOL/work\t-\tno\t-\t-',
      'POOL/work/home\tPOOL/base/home@snap\tno\t-\t-',
      '',
    ].join('\n'),
  },
  { command: 'zfs get -Hp -o value written POOL/work/home', code: 0, stdout: '0\n' },
  { command: 'zfs list -Hp -o name POOL/no', code: 1, stderr: cannotOpen('POOL/no') },
  {
    command: 'zfs list -Hp -o nonsense POOL',
    code: 2,
    stderr: "bad property list: invalid property 'nonsense'\n",
  },
  {
    command: 'zfs destroy -r POOL/base',
    code: 1,
    stderr:
      "cannot destroy 'POOL/base': filesystem has dependent clones\nuse '-R' to destroy the following datasets:\nPOOL/work/home\n",
  },
  // Publishing a cache.
  {
    command: 'zfs promote POOL/work',
    code: 1,
    stderr: "cannot promote 'POOL/work': not a cloned filesystem\n",
  },
  { command: 'zfs promote -- POOL/work', code: 2, stderr: "invalid option '-'\n" },
  {
    command: 'zfs rename -u POOL/work/home POOL/base',
    code: 1,
    stderr: "cannot rename 'POOL/work/home': dataset already exists\n",
  },
  { command: 'zfs rename -u POOL/no POOL/q', code: 1, stderr: cannotOpen('POOL/no') },
  { command: 'zfs rename -p POOL/work/home POOL/deep/er/home', code: 0 },
  { command: 'zfs promote POOL/deep/er/home', code: 0 },
  { command: 'zfs get -Hp -o value origin POOL/base/home', code: 0, stdout: 'POOL/deep/er/home@snap\n' },
  { command: 'zfs get -Hp -o value origin POOL/deep/er/home', code: 0, stdout: '-\n' },
  { command: 'zfs destroy -d POOL/deep/er/home@snap', code: 0 },
  { command: 'zfs list -Hp -o name POOL/deep/er/home@snap', code: 0, stdout: 'POOL/deep/er/home@snap\n' },
  { command: 'zfs destroy -r POOL/base', code: 0 },
  {
    command: 'zfs list -Hp -o name POOL/deep/er/home@snap',
    code: 1,
    stderr: cannotOpen('POOL/deep/er/home@snap'),
  },
  {
    command: 'zfs destroy -d POOL/deep/er/home@snap',
    code: 1,
    stderr: 'could not find any snapshots to destroy; check snapshot names.\n',
  },
  { command: 'zfs create -o canmount=off POOL/twice', code: 0 },
  { command: 'zfs snapshot POOL/twice@a', code: 0 },
  { command: 'zfs snapshot POOL/twice@b', code: 0 },
  { command: 'zfs clone -p -o canmount=off POOL/twice@b POOL/clone', code: 0 },
  { command: 'zfs snapshot POOL/clone@a', code: 0 },
  { command: 'zfs promote POOL/clone', code: 1, stderr: "cannot promote 'POOL/clone': " },
  { command: 'zfs destroy -r POOL/clone', code: 0 },
  { command: 'zfs destroy -r POOL/twice', code: 0 },
  { command: 'zfs destroy -r POOL/no', code: 1, stderr: cannotOpen('POOL/no') },
  { command: 'zfs rename -u POOL/deep POOL/moved', code: 0 },
  {
    command: 'zfs list -Hp -r -o name POOL',
    code: 0,
    stdout: 'POOL\nPOOL/moved\nPOOL/moved/er\nPOOL/moved/er/home\nPOOL/work\n',
  },
  { command: 'zpool list -Hp -o health POOL', code: 0, stdout: 'ONLINE\n' },
  { command: 'zpool get -Hp -o value freeing POOL', code: 0, stdout: '0\n' },
  {
    command: 'zpool list -Hp -o health no-such-pool',
    code: 1,
    stderr: "cannot open 'no-such-pool': no such pool\n",
  },
];

/** What is wrong with an answer, in words; undefined if nothing is. */
export function difference(
  probe: Probe,
  given: { readonly exitCode: number | undefined; readonly stdout: string; readonly stderr: string },
  pool: string,
): string | undefined {
  const named = (text: string): string => text.replaceAll('POOL', pool);
  const isEqual =
    given.exitCode === probe.code &&
    (probe.stdout === undefined
      ? probe.code === 0 || given.stdout === ''
      : given.stdout === named(probe.stdout)) &&
    given.stderr.startsWith(named(probe.stderr ?? '')) &&
    (probe.stderr !== undefined || given.stderr === '');
  return isEqual ? undefined : `${probe.command}: ${JSON.stringify(given)}`;
}
