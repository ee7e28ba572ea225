import type { Allowance } from './allowance.ts';
import { ALLOWED, DISK_SYNC, IO_URING, NAMESPACE_USE, NEW_MOUNT, REFUSED } from './seccomp-syscalls.ts';

/** The `linux.seccomp` of an OCI config, as far as we use it. */
export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArg[];
}

interface SeccompArg {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_NE' | 'SCMP_CMP_MASKED_EQ';
}

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** What else runs on a kernel of each `process.arch`: 32-bit programs of the same family. */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  arm: ['SCMP_ARCH_ARM'],
  riscv64: ['SCMP_ARCH_RISCV64'],
  ppc64: ['SCMP_ARCH_PPC64LE'],
  s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
};

/**
 * A namespace of cgroups lets its owner mount them: root would lift the limits of its step, and before Linux 5.17 start
 * programs on the host (CVE-2022-0492). So it is closed also where others are allowed.
 */
const NEW_CGROUP = 0x02000000;

/** Every namespace flag of `clone` that a build does not get: NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET. */
const NAMESPACE_FLAGS = [0x00020000, NEW_CGROUP, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000];

/**
 * Address families that have let a container out: AF_ALG and AF_VSOCK. On 32-bit x86 they stay within reach through
 * `socketcall`, whose arguments no filter sees. Without it no program of an i386 distribution has a network: glibc
 * makes the direct calls only where it was built for kernels since 4.3, and by default it is not.
 */
const CLOSED_FAMILIES = [38, 40];

/** More than Linux has. */
const FAMILIES = 64;

const RLIMIT_CORE = 4;
const RLIMITS = 16;

/**
 * A profile that allows what is known to be harmless. A system call that it does not know does not exist (ENOSYS):
 * a C library falls back from `clone3` or the newest call then, which it does not where it reads EPERM.
 *
 * @param arch - The host's, in Node's words.
 */
export function seccompProfile(options: {
  readonly arch: string;
  /** Makes calls that wait for the disk succeed without doing anything. */
  readonly fastSync: boolean;
  readonly allow: readonly Allowance[];
}): SeccompProfile {
  const namespaces = options.allow.includes('user-namespaces');
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    architectures: ARCHITECTURES[options.arch] ?? [],
    syscalls: [
      allow(options.fastSync ? ALLOWED : [...ALLOWED, ...DISK_SYNC]),
      ...(options.fastSync ? [refuse(DISK_SYNC, 0)] : []),
      ...(options.allow.includes('io-uring') ? [allow(IO_URING)] : []),
      ...(namespaces ? namespaceRules() : [refuse(REFUSED, EPERM)]),
      ...flagRules('clone', {
        index: options.arch === 's390x' ? 1 : 0,
        closed: namespaces ? [NEW_CGROUP] : NAMESPACE_FLAGS,
      }),
      ...socketRules(),
      ...coreLimitRules(),
      ...personalityRules(),
    ],
  };
}

/** What is in neither list does not exist. */
function namespaceRules(): SeccompRule[] {
  const open = [...NAMESPACE_USE, ...NEW_MOUNT, 'unshare'];
  return [
    allow(NAMESPACE_USE),
    ...flagRules('unshare', { index: 0, closed: [NEW_CGROUP] }),
    refuse(
      REFUSED.filter((name) => !open.includes(name)),
      EPERM,
    ),
  ];
}

/**
 * Allows a call without any of these flags, and refuses it with each of them. `clone3` keeps its flags in memory where
 * no filter sees them, so it stays unknown.
 */
function flagRules(
  name: 'clone' | 'unshare',
  { index, closed }: { readonly index: number; readonly closed: readonly number[] },
): SeccompRule[] {
  const all = closed.reduce((mask, flag) => mask + flag, 0);
  return [
    { ...allow([name]), args: [{ index, op: 'SCMP_CMP_MASKED_EQ', value: all, valueTwo: 0 }] },
    ...closed.map(
      (flag): SeccompRule => ({
        ...refuse([name], EPERM),
        args: [{ index, op: 'SCMP_CMP_MASKED_EQ', value: flag, valueTwo: flag }],
      }),
    ),
  ];
}

function socketRules(): SeccompRule[] {
  return [
    ...isNone(CLOSED_FAMILIES, { index: 0, below: FAMILIES }).map((arg) => ({
      ...allow(['socket']),
      args: [arg],
    })),
    ...CLOSED_FAMILIES.map((family) => ({
      ...refuse(['socket'], EAFNOSUPPORT),
      args: [isInt(family, { index: 0 })],
    })),
  ];
}

/**
 * The limit of core dumps stays where it is, and whoever changes it is told that it was changed. Raised or lowered, even to
 * 0, it would let a program of the host have what a step has in its memory; and programs that are careful with their secrets
 * set it to 0, and end if they cannot.
 */
function coreLimitRules(): SeccompRule[] {
  const set = (
    name: 'setrlimit' | 'prlimit64',
    index: number,
    more: readonly SeccompArg[],
  ): SeccompRule[] => [
    ...isNone([RLIMIT_CORE], { index, below: RLIMITS }).map((arg) => ({ ...allow([name]), args: [arg] })),
    { ...refuse([name], 0), args: [isInt(RLIMIT_CORE, { index }), ...more] },
  ];
  const limit = { index: 2, value: 0 } as const;
  return [
    ...set('setrlimit', 0, []),
    ...set('prlimit64', 1, [{ ...limit, op: 'SCMP_CMP_NE' }]),
    {
      ...allow(['prlimit64']),
      args: [isInt(RLIMIT_CORE, { index: 1 }), { ...limit, op: 'SCMP_CMP_EQ' }],
    },
  ];
}

/** The kernel takes the lower half of a register for an `int`, whatever the upper one is; other comparisons see both. */
function isInt(
  value: number,
  { index, bits = 0 }: { readonly index: number; readonly bits?: number },
): SeccompArg {
  return { index, op: 'SCMP_CMP_MASKED_EQ', value: 2 ** 32 - 2 ** bits, valueTwo: value };
}

/** Conditions one of which holds if an `int` is none of `values`: each is for as many neighbours as it can be for. */
function isNone(
  values: readonly number[],
  { index, below, from = 0 }: { readonly index: number; readonly below: number; readonly from?: number },
): SeccompArg[] {
  const bits = Math.log2(below - from);
  if (!values.some((value) => value >= from && value < below)) return [isInt(from, { index, bits })];
  if (bits === 0) return [];
  const middle = (from + below) / 2;
  return [
    ...isNone(values, { index, from, below: middle }),
    ...isNone(values, { index, from: middle, below }),
  ];
}

/** Reading it, PER_LINUX and PER_LINUX32, UNAME26, and no address randomisation, which debuggers and emacs ask for. */
function personalityRules(): SeccompRule[] {
  const free = 0x8 + 0x20000 + 0x40000;
  return [
    {
      ...allow(['personality']),
      args: [{ index: 0, op: 'SCMP_CMP_MASKED_EQ', value: 0xffffffff - free, valueTwo: 0 }],
    },
    { ...allow(['personality']), args: [{ index: 0, op: 'SCMP_CMP_EQ', value: 0xffffffff }] },
  ];
}

function allow(names: readonly string[]): SeccompRule {
  return { names, action: 'SCMP_ACT_ALLOW' };
}

function refuse(names: readonly string[], errnoRet: number): SeccompRule {
  return { names, action: 'SCMP_ACT_ERRNO', errnoRet };
}
