import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { detachBelow } from '@snapstep/core/backend';
import { execa } from 'execa';
import { cgroups, loopDevices, processes } from './residue.ts';

const PATIENCE_MS = 10_000;

/**
 * Ends and removes what tests that were killed have left: processes, cgroups, mounts, loop devices and files of `temp`.
 * What cannot be taken away stays, to be found by whoever looks.
 */
export async function takeAway(temp: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  const own = await cgroupsOf(temp);
  while ((await kill(temp, own)) && performance.now() < end) await delay(100);
  for (const cgroup of own) await removeCgroup(cgroup);
  await detachBelow(temp);
  for (const { device } of await loopDevices(temp)) {
    await execa('losetup', ['--detach', device], { reject: false });
  }
  for (const name of await readdir(temp)) {
    // One that is still mounted elsewhere stays.
    await rm(join(temp, name), { recursive: true, force: true }).catch(() => {});
  }
}

/** Those of the sandboxes below `temp`: a builder that somebody else runs has cgroups with our name as well. */
async function cgroupsOf(temp: string): Promise<readonly string[]> {
  const found = await execa('find', [temp, '-maxdepth', '5', '-name', 'identity', '-type', 'f'], {
    reject: false,
  });
  const files = found.stdout.split('\n').filter((file) => file !== '');
  const identities = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  const names = identities.map((text) => text.trim()).filter((text) => /^[0-9a-f]{12}$/.test(text));
  return (await cgroups()).filter((cgroup) => names.some((name) => cgroup.includes(`snapstep-${name}`)));
}

/** @returns Whether somebody was still there. */
async function kill(temp: string, own: readonly string[]): Promise<boolean> {
  const inCgroups = await Promise.all(own.map(processesOf));
  const pids = [...(await processes(temp)).map(({ pid }) => pid), ...inCgroups.flat()];
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  return pids.length > 0;
}

async function processesOf(cgroup: string): Promise<readonly string[]> {
  const names = await readdir(cgroup, { recursive: true }).catch(() => []);
  const lists = names.filter((name) => /(^|\/)cgroup\.procs$/.test(name));
  const texts = lists.map((list) => readFile(join(cgroup, list), 'utf8').catch(() => ''));
  return (await Promise.all(texts)).flatMap((text) => text.split('\n').filter((pid) => pid !== ''));
}

/** From the bottom up: its files cannot be deleted, and go with it. */
async function removeCgroup(cgroup: string): Promise<void> {
  const entries = await readdir(cgroup, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeCgroup(join(cgroup, entry.name));
  await rmdir(cgroup).catch(() => {});
}
