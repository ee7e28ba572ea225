import { readFile } from 'node:fs/promises';

/** One entry of `process.rlimits` in the OCI runtime specification. */
export interface Rlimit {
  readonly type: string;
  readonly soft: number;
  readonly hard: number;
}

const MIB = 1024 * 1024;

/**
 * The limits a command gets, in the names of `/proc/self/limits`, with the most it may have of each; `soft` is
 * where it starts. All are stated, so that nothing depends on where the host program was started from.
 *
 * More than 65536 open files makes programs slow that close every possible descriptor when they start.
 * No core dumps: they would end up in the snapshot. With a limit of 0 the kernel still gives them to a program of the host,
 * if `core_pattern` names one; 1 byte is what it takes for none: https://man7.org/linux/man-pages/man5/core.5.html
 * The system call filter keeps a step from changing it.
 */
const WANTED: readonly { type: string; name: string; hard: number; soft?: number }[] = [
  { type: 'RLIMIT_NOFILE', name: 'Max open files', hard: 65536 },
  { type: 'RLIMIT_CORE', name: 'Max core file size', hard: 1 },
  { type: 'RLIMIT_STACK', name: 'Max stack size', hard: Infinity, soft: 8 * MIB },
  { type: 'RLIMIT_MEMLOCK', name: 'Max locked memory', hard: 64 * MIB },
  { type: 'RLIMIT_NPROC', name: 'Max processes', hard: Infinity },
  { type: 'RLIMIT_FSIZE', name: 'Max file size', hard: Infinity },
  { type: 'RLIMIT_AS', name: 'Max address space', hard: Infinity },
  { type: 'RLIMIT_DATA', name: 'Max data size', hard: Infinity },
  { type: 'RLIMIT_CPU', name: 'Max cpu time', hard: Infinity },
];

/** The largest integer that a JSON number carries unharmed: what the runtimes read it into has 64 bits. */
const UNLIMITED = 18446744073709551615n;

/** The rlimits of a container. None exceeds what this process has: raising one needs CAP_SYS_RESOURCE. */
export async function containerRlimits(): Promise<readonly Rlimit[]> {
  const own = await readFile('/proc/self/limits', 'utf8');
  return WANTED.map(({ type, name, ...wanted }) => {
    const hard = Math.min(wanted.hard, hardLimit(own, name));
    return { type, hard, soft: Math.min(wanted.soft ?? hard, hard) };
  });
}

/** JSON for an OCI config: `Infinity` becomes the kernel's RLIM_INFINITY, which no JavaScript number can be. */
export function stringifyConfig(config: unknown): string {
  const text = JSON.stringify(config, (_, value) => (value === Infinity ? '\u0000unlimited' : value));
  return text.replaceAll('"\\u0000unlimited"', `${UNLIMITED}`);
}

function hardLimit(limits: string, name: string): number {
  const line = limits.split('\n').find((each) => each.startsWith(`${name} `)) ?? '';
  const [, hard] = line.slice(name.length).trim().split(/\s+/);
  return hard === undefined || hard === 'unlimited' ? Infinity : Number(hard);
}
