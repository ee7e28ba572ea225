import { readdir, readFile } from 'node:fs/promises';

/** The processes that this one started, and what they started, by their command lines; empty where there is no `/proc`. */
export async function runningProcesses(): Promise<ReadonlyMap<number, string>> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = new Map<number, number>();
  for (const pid of pids) {
    const parent = await parentOf(pid);
    if (parent !== undefined) parents.set(pid, parent);
  }
  const found = new Map<number, string>();
  for (const pid of parents.keys()) {
    if (isDescendant(pid, parents)) found.set(pid, await commandLineOf(pid));
  }
  return found;
}

/** Undefined for one that has ended, also if nobody has asked for its exit code yet. */
async function parentOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return state === undefined || state === 'Z' || state === 'X' ? undefined : Number(parent);
}

function isDescendant(pid: number, parents: ReadonlyMap<number, number>): boolean {
  let at = parents.get(pid);
  while (at !== undefined && at !== process.pid) at = parents.get(at);
  return at === process.pid;
}

async function commandLineOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.replaceAll('\0', ' ').trim();
}
