import { readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

// A cgroup is in the kernel's memory: a call about it takes microseconds, a tenth of what handing it to a thread takes.

/**
 * Kills what is in a cgroup and below it until nothing is left.
 *
 * @param deadline - A time in milliseconds as of `performance.now()`.
 * @returns The processes that were still there at the deadline.
 */
export async function killAll(cgroup: string, deadline: number): Promise<readonly number[]> {
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    const pids = processesOf(cgroup);
    if (pids.length === 0 || performance.now() > deadline) return pids;
    pids.forEach(kill);
    await delay(pause);
  }
}

/**
 * Removes a cgroup and those below it. A cgroup whose last process has just ended may be busy for a moment.
 *
 * @returns Whether it is gone.
 */
export async function removeTree(cgroup: string, deadline: number): Promise<boolean> {
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    if (tryRemove(cgroup)) return true;
    for (const child of childrenOf(cgroup)) await removeTree(child, deadline);
    if (tryRemove(cgroup)) return true;
    if (performance.now() > deadline) return false;
    await delay(pause);
  }
}

/**
 * A number of a `key value` file such as `memory.events`, or, where the key is empty, of a file that is one number;
 * 0 where there is no such file or key.
 */
export function readCounter(file: string, key: string): number {
  const text = readText(file);
  if (key === '') return Number(text);
  const line = text.split('\n').find((each) => each.startsWith(`${key} `));
  return Number(line?.slice(key.length + 1) ?? 0);
}

/** Those of other process namespaces show as 0, which must never be signalled: it means our own group. */
function processesOf(cgroup: string): number[] {
  const here = readText(join(cgroup, 'cgroup.procs'))
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid);
  return [...here, ...childrenOf(cgroup).flatMap(processesOf)];
}

function childrenOf(cgroup: string): string[] {
  try {
    const entries = readdirSync(cgroup, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(cgroup, name));
  } catch {
    return [];
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function tryRemove(cgroup: string): boolean {
  try {
    rmdirSync(cgroup);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
