import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

const BUSYBOX = '/bin/busybox';

/**
 * A root file system of a static busybox and little else, in a directory that exists.
 *
 * @param applets - The commands it shall have. Default: all that this busybox has, about 270.
 */
export async function busyboxRootfs(into: string, applets?: readonly string[]): Promise<void> {
  for (const dir of ['bin', 'etc', 'root', 'home', 'usr/bin', 'var', 'proc', 'sys', 'dev']) {
    await mkdir(join(into, dir), { recursive: true });
  }
  await mkdir(join(into, 'tmp'));
  await chmod(join(into, 'tmp'), 0o1777);
  await copyFile(BUSYBOX, join(into, 'bin/busybox'));
  for (const applet of applets ?? (await allApplets())) {
    await symlink('busybox', join(into, 'bin', applet));
  }
  await symlink('../../bin/busybox', join(into, 'usr/bin/env'));
  await writeFile(
    join(into, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nbuilder:x:1000:1000::/home/builder:/bin/sh\n',
  );
  await writeFile(join(into, 'etc/group'), 'root:x:0:\nbuilder:x:1000:\n');
}

async function allApplets(): Promise<string[]> {
  const { stdout } = await execa(BUSYBOX, ['--list']);
  return stdout.split('\n').filter((name) => name !== 'busybox');
}
