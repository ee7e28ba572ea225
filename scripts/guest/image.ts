import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BuildLog } from './build-log.ts';
import { isThere } from './cache.ts';
import type { Debian } from './debian.ts';
import type { BuildPlace, Versions } from './modules.ts';

/** What is in the guest, and for what. */
const PACKAGES = [
  'zfsutils-linux', // zfs and zpool
  'runc', // containers on ZFS
  'rsync',
  'btrfs-progs',
  'e2fsprogs',
  'acl',
  'attr',
  'sudo', // steps as another user
  'passwd',
  'login',
  'mount',
  'procps',
  'psmisc',
  'iproute2',
  'kmod', // loads modules
  'busybox-static', // the initrd, and root file systems of tests
  'python3-minimal',
  'openssl',
  'libstdc++6', // Node
  'ca-certificates',
  'xz-utils',
  'zstd',
];

/** A sparse file, so only what is used takes space. */
const ROOT_DISK_BYTES = 8 * 2 ** 30;

/** What the initrd needs to find the root disk. */
const INITRD_MODULES = ['virtio_pci', 'virtio_blk'];

const INIT = join(import.meta.dirname, 'init');

/** Changes when the guest has to be made again because of a change of ours. */
export async function recipe(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of ['image.ts', 'debian.ts', 'init/initrd.sh', 'init/guest-init.sh']) {
    hash.update(await readFile(join(import.meta.dirname, file)));
  }
  return hash.digest('hex').slice(0, 12);
}

/** Makes `vmlinuz`, `initrd.img` and `root.img` in `into`, which appears when it is finished. */
export async function buildImage(
  {
    modules,
    into,
    versions,
  }: { readonly modules: string; readonly into: string; readonly versions: Versions },
  { debian, log, temp }: BuildPlace,
): Promise<void> {
  const unfinished = join(temp, 'image');
  const root = join(temp, 'root');
  await mkdir(unfinished);
  log.step('the system of the guest');
  await debian.system(PACKAGES, root);
  await installKernel(root, { modules, kernel: versions.kernel, temp, unfinished, debian, log });
  await copyFile(join(INIT, 'guest-init.sh'), join(root, 'sbin/guest-init'));
  await log.run('chmod', ['755', join(root, 'sbin/guest-init')]);
  log.step('the initrd and the root disk');
  await buildInitrd(root, { kernel: versions.kernel, temp, unfinished, log });
  await buildDisk(root, join(unfinished, 'root.img'), { bytes: ROOT_DISK_BYTES, log });
  await writeFile(join(unfinished, 'versions.json'), JSON.stringify(versions));
  await rename(unfinished, into);
}

/** An ext4 file system with the files of a directory, in a sparse file. */
export async function buildDisk(
  dir: string,
  image: string,
  { bytes, log }: { readonly bytes: number; readonly log: BuildLog },
): Promise<void> {
  const file = await open(image, 'w');
  await file.truncate(bytes);
  await file.close();
  // Nothing of it is kept, so it needs no journal.
  const options = ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-E', 'lazy_itable_init=1', '-m', '0'];
  await log.run('mke2fs', [...options, '-d', dir, image]);
}

interface KernelOptions {
  readonly modules: string;
  readonly kernel: string;
  readonly temp: string;
  readonly unfinished: string;
  readonly debian: Debian;
  readonly log: BuildLog;
}

/** Only its files: the package wants a boot loader and an initrd of its own. */
async function installKernel(root: string, options: KernelOptions): Promise<void> {
  const { modules, kernel, temp, unfinished, debian, log } = options;
  const unpacked = join(temp, 'kernel');
  await debian.unpack(`linux-image-${kernel}`, unpacked);
  await copyFile(join(unpacked, `boot/vmlinuz-${kernel}`), join(unfinished, 'vmlinuz'));
  await mkdir(join(root, 'lib/modules'), { recursive: true });
  await rename(join(unpacked, 'lib/modules', kernel), join(root, 'lib/modules', kernel));
  await cp(modules, join(root, 'lib/modules', kernel, 'extra'), { recursive: true });
  await rm(unpacked, { recursive: true });
  await log.run('chroot', [root, 'depmod', kernel]);
}

async function buildInitrd(
  root: string,
  { kernel, temp, unfinished, log }: Pick<KernelOptions, 'kernel' | 'temp' | 'unfinished' | 'log'>,
): Promise<void> {
  const tree = join(temp, 'initrd');
  await mkdir(join(tree, 'bin'), { recursive: true });
  await mkdir(join(tree, 'modules'));
  await copyFile(join(root, 'bin/busybox'), join(tree, 'bin/busybox'));
  await copyFile(join(INIT, 'initrd.sh'), join(tree, 'init'));
  await log.run('chmod', ['755', join(tree, 'init')]);
  const order = new Set<string>();
  for (const module of INITRD_MODULES) {
    const lines = await log.run('chroot', [root, 'modprobe', '--show-depends', '-S', kernel, module]);
    for (const [, file] of lines.matchAll(/^insmod (\S+)/gm)) if (file !== undefined) order.add(file);
  }
  for (const file of order) await copyFile(join(root, file), join(tree, 'modules', basename(file)));
  await writeFile(join(tree, 'modules/order'), [...order].map((file) => `${basename(file)}\n`).join(''));
  const image = join(unfinished, 'initrd.img');
  const pack = 'cd "$1" && find . | busybox cpio -o -H newc | gzip -1 >"$2"';
  await log.run('sh', ['-ec', pack, 'sh', tree, image]);
  if (!(await isThere(image))) throw new Error(`${image} was not made`);
}
