import { chmod, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Check } from './report.ts';

/**
 * A directory of this run alone, so that what is left in it, or in use below it, was left by this run. As below `/tmp`,
 * other users can reach what is theirs.
 */
export async function privateTemp(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'snapstep-'));
  await chmod(directory, 0o711);
  return directory;
}

/**
 * Looks for what the tests should have taken away: files below `temp`; mounts, in any mount namespace, and loop
 * devices of something below it; processes that use it, or inherited it as their `TMPDIR`; cgroups with our name that were
 * not there before.
 */
export async function leftovers(temp: string): Promise<Check> {
  const cgroupsBefore = new Set(await cgroups());
  return {
    name: 'nothing is left: mounts, loop devices, processes, cgroups, files',
    async run() {
      const found = [
        ...(await mounts(temp)),
        ...(await loopDevices(temp)),
        ...(await processes(temp)),
        ...(await cgroups()).filter((path) => !cgroupsBefore.has(path)).map((path) => `cgroup ${path}`),
        ...(await readdir(temp)).map((name) => `file ${join(temp, name)}`),
      ];
      if (found.length > 0) return found.join('\n');
      await rm(temp, { recursive: true });
      return undefined;
    },
  };
}

async function mounts(temp: string): Promise<string[]> {
  const lines = new Set<string>();
  for (const pid of await pids()) {
    const table = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(gone);
    for (const line of table.split('\n')) {
      if (line.includes(temp)) lines.add(`mount ${line.split(' ')[4]} (seen by process ${pid})`);
    }
  }
  return [...lines];
}

async function loopDevices(temp: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir('/sys/block').catch(() => [])) {
    const file = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(gone);
    if (file.startsWith(temp)) found.push(`loop device /dev/${name} of ${file.trim()}`);
  }
  return found;
}

async function processes(temp: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await pids()) {
    const texts = await Promise.all([
      readFile(`/proc/${pid}/environ`, 'utf8').catch(gone),
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(gone),
      readlink(`/proc/${pid}/cwd`).catch(gone),
      readlink(`/proc/${pid}/root`).catch(gone),
    ]);
    if (!texts.some((text) => text.includes(temp))) continue;
    found.push(`process ${pid} ${(texts[1] ?? '').replaceAll('\0', ' ')}`);
  }
  return found;
}

/** Version 1 has a tree for each controller, version 2 one for all. */
async function cgroups(): Promise<string[]> {
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
