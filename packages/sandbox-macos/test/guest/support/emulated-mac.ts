import { spawn } from 'node:child_process';
import { chmod, mkdir, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const EMULATION = join(import.meta.dirname, '../../mac');
const TOOLS = join(EMULATION, 'bin');

/** Every user may write there. */
const SHARED = [
  ...['/Users/Shared', '/private/tmp', '/private/var/tmp', '/private/var/at/tabs', '/private/var/at/jobs'],
  ...['/private/var/folders/zz', '/private/var/run/launchd'],
];

let isMade = false;

/** Gives a machine that is thrown away afterwards the directories and tools of a Mac. */
export async function makeMac(): Promise<void> {
  if (isMade) return;
  isMade = true;
  for (const path of [
    ...SHARED,
    '/private/var/mail',
    '/private/var/db/dslocal/nodes/Default/users',
    '/opt/homebrew',
  ]) {
    await mkdir(path, { recursive: true });
  }
  for (const path of SHARED) await chmod(path, 0o1777);
  await symlink('/private/var/folders', '/var/folders');
  await writeFile('/private/var/run/network', await readlink('/proc/self/ns/net'));
  // A login shell reads it: /usr/bin of a Mac has these.
  await writeFile('/etc/profile', `PATH=${TOOLS}:/usr/bin:/bin:/usr/sbin:/sbin; export PATH\n`);
  process.env.PATH = `${TOOLS}:${process.env.PATH}`;
  spawn(join(EMULATION, 'launchd'), { stdio: 'ignore' }).unref();
}
