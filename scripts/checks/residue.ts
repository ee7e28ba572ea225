import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface SeenMount {
  readonly path: string;
  /** A process in whose mount namespace it is. */
  readonly pid: string;
}

/** What is mounted below a directory, or from a file below it, each place once. */
export async function mounts(directory: string): Promise<readonly SeenMount[]> {
  const seen = new Map<string, SeenMount>();
  for (const pid of await pids()) {
    const table = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(gone);
    for (const line of table.split('\n')) {
      const path = line.split(' ')[4] ?? '';
      if (line.includes(directory) && !seen.has(path)) seen.set(path, { path, pid });
    }
  }
  return [...seen.values()];
}

/** The loop devices of files below a directory. */
export async function loopDevices(
  directory: string,
): Promise<readonly { readonly device: string; readonly file: string }[]> {
  const found: { device: string; file: string }[] = [];
  for (const name of await readdir('/sys/block').catch(() => [])) {
    const file = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(gone);
    if (file.startsWith(directory)) found.push({ device: `/dev/${name}`, file: file.trim() });
  }
  return found;
}

/** Processes with something below a directory as their directory, root, argument or in their environment. */
export async function processes(
  directory: string,
): Promise<readonly { readonly pid: string; readonly command: string }[]> {
  const found: { pid: string; command: string }[] = [];
  for (const pid of await pids()) {
    const texts = await Promise.all([
      readFile(`/proc/${pid}/environ`, 'utf8').catch(gone),
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(gone),
      readlink(`/proc/${pid}/cwd`).catch(gone),
      readlink(`/proc/${pid}/root`).catch(gone),
    ]);
    if (!texts.some((text) => text.includes(directory))) continue;
    found.push({ pid, command: (texts[1] ?? '').replaceAll('\0', ' ') });
  }
  return found;
}

/** Cgroups with our name, parents first. Version 1 has a tree for each controller, version 2 one for all. */
export async function cgroups(): Promise<readonly string[]> {
  const all = await readdir('/sys/fs/cgroup', { recursive: true, withFileTypes: true }).catch(() => []);
  return all
    .filter((entry) => entry.isDirectory() && entry.name.includes('snapstep'))
    .map((entry) => join(entry.parentPath, entry.name));
}

async function pids(): Promise<string[]> {
  return (await readdir('/proc').catch(() => [])).filter((name) => /^[0-9]+$/.test(name));
}

/** What ended while we looked, or is not ours to see, left nothing. */
function gone(): string {
  return '';
}
