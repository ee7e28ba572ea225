import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHostPath } from '@snapstep/core';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { host } from './host.ts';

const PREFIX = 'snapstep-demo-';
const DISK_BYTES = 4 * 1024 ** 3;

/** A private directory with a Btrfs of its own, mounted. Disposing it unmounts and removes everything. */
export interface DemoDisk extends AsyncDisposable {
  /** Not on the Btrfs. */
  readonly temp: string;
  readonly btrfs: string;
  /** For the state of the sandbox; known to {@link openDisk}, which tidies up after a demo that was killed. */
  readonly sandboxState: string;
}

export async function openDisk(signal: AbortSignal): Promise<DemoDisk> {
  await removeAbandoned();
  const temp = await mkdtemp(join(tmpdir(), PREFIX));
  const disk = diskAt(temp);
  try {
    await writeFile(join(temp, 'pid'), `${process.pid}`);
    await writeFile(join(temp, 'disk.img'), '');
    // A sparse file: it takes no more room than what is written.
    await truncate(join(temp, 'disk.img'), DISK_BYTES);
    await mkdir(disk.btrfs);
    await host('mkfs.btrfs', ['--quiet', join(temp, 'disk.img')], { signal });
    await host('mount', ['-o', 'loop,noatime', join(temp, 'disk.img'), disk.btrfs], { signal });
    return disk;
  } catch (error) {
    await disk[Symbol.asyncDispose]();
    throw error;
  }
}

function diskAt(temp: string): DemoDisk {
  const btrfs = join(temp, 'btrfs');
  return {
    temp,
    btrfs,
    sandboxState: join(temp, 'sandbox'),
    async [Symbol.asyncDispose]() {
      const mounts = await readFile('/proc/self/mountinfo', 'utf8');
      // Unmounting gives the loop device back, too.
      if (mounts.includes(` ${btrfs} `)) await host('umount', ['-R', btrfs]);
      await rm(temp, { recursive: true, force: true });
    },
  };
}

/** A demo that was killed could not tidy up. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const temp = join(tmpdir(), name);
    const pid = await readFile(join(temp, 'pid'), 'utf8').catch(() => '');
    if (pid !== '' && (await isRunning(pid))) continue;
    console.log(`An earlier demo was killed: removing ${temp}`);
    const disk = diskAt(temp);
    // Opening a sandbox stops the containers that its last owner left running.
    const sandbox = await openRuncSandbox({ stateDir: toHostPath(disk.sandboxState) });
    if (sandbox.isOk()) await sandbox.value[Symbol.asyncDispose]();
    await disk[Symbol.asyncDispose]();
  }
}

function isRunning(pid: string): Promise<boolean> {
  return readFile(`/proc/${pid}/stat`).then(
    () => true,
    () => false,
  );
}
