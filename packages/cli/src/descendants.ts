import { readdirSync, readFileSync } from 'node:fs';

/** Kills every process that this one started, and all that those started: first listed, then killed. */
export function killDescendants(): void {
  for (const pid of descendants(process.pid)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself, or may not be killed; the next command on the store cleans up.
    }
  }
}

/** Parents before their children. https://man7.org/linux/man-pages/man5/proc_pid_task.5.html */
function descendants(pid: number): number[] {
  const children = readChildren(pid);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function readChildren(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}
