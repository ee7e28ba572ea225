import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Check } from './report.ts';
import { cgroups, loopDevices, mounts, processes } from './residue.ts';
import { takeAway } from './take-away.ts';

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
 * not there before. A run that was stopped has tests that ended in the middle: what they left is taken away first.
 */
export async function leftovers(temp: string, stop: AbortSignal): Promise<Check> {
  const before = new Set(await cgroups());
  const newCgroups = async () => (await cgroups()).filter((path) => !before.has(path));
  return {
    name: 'nothing is left: mounts, loop devices, processes, cgroups, files',
    async run() {
      if (stop.aborted) await takeAway(temp);
      const found = [
        ...(await mounts(temp)).map(({ path, pid }) => `mount ${path} (seen by process ${pid})`),
        ...(await loopDevices(temp)).map(({ device, file }) => `loop device ${device} of ${file}`),
        ...(await processes(temp)).map(({ pid, command }) => `process ${pid} ${command}`),
        ...(await newCgroups()).map((path) => `cgroup ${path}`),
        ...(await readdir(temp)).map((name) => `file ${join(temp, name)}`),
      ];
      if (found.length > 0) return found.join('\n');
      await rm(temp, { recursive: true });
      return undefined;
    },
  };
}
