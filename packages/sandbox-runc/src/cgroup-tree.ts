import { readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Kills what is in a cgroup and below it until nothing is left.
 *
 * @param deadline - A time in milliseconds as of `performance.now()`.
 * @returns The processes that were still there at the deadline.
 */
export async function killAll(cgroup: string, deadline: number): Promise<readonly number[]> {
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    const pids = await processesOf(cgroup);
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
    if (await tryRemove(cgroup)) return true;
    for (const child of await childrenOf(cgroup)) await removeTree(child, deadline);
    if (await tryRemove(cgroup)) return true;
    if (performance.now() > deadline) return false;
    await delay(pause);
  }
}

/**
 * A number of a `key value` file such as `memory.events`, or, where the key is empty, of a file that is one number;
 * 0 where there is no such file or key.
 */
export async function readCounter(file: string, key: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '');
  if (key === '') return Number(text);
  const line = text.split('\n').find((each) => each.startsWith(`${key} `));
  return Number(line?.slice(key.length + 1) ?? 0);
}

/** Those of other process namespaces show as 0, which must never be signalled: it means our own group. */
async function processesOf(cgroup: string): Promise<number[]> {
  const text = await readFile(join(cgroup, 'cgroup.procs'), 'utf8').catch(() => '');
  const here = text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid);
  const below = await Promise.all((await childrenOf(cgroup)).map(processesOf));
  return [here, ...below].flat();
}

async function childrenOf(cgroup: string): Promise<string[]> {
  const entries = await readdir(cgroup, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(cgroup, name));
}

async function tryRemove(cgroup: string): Promise<boolean> {
  try {
    await rmdir(cgroup);
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
