import { copyFile, glob, mkdir, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import type { BuildLog } from './build-log.ts';
import { guestCache, isThere } from './cache.ts';
import type { Debian } from './debian.ts';

export interface Versions {
  /** As `uname -r` says it. */
  readonly kernel: string;
  /** Of the kernel's package. */
  readonly kernelPackage: string;
  readonly zfs: string;
}

export interface BuildPlace {
  readonly debian: Debian;
  readonly log: BuildLog;
  /** On the file system of the cache; removed in the end, whatever happens. */
  readonly temp: string;
}

/** What compiles a kernel module. `configure` fails with a misleading message without the whole of Perl. */
const COMPILER = ['make', 'gcc', 'libc6-dev', 'patch', 'file', 'kmod', 'perl', 'mawk'];

export async function findVersions(debian: Debian): Promise<Versions> {
  const depends = await debian.field('linux-image-cloud-amd64', 'Depends');
  const kernel = /linux-image-(\S+-cloud-amd64)/.exec(depends)?.[1];
  if (kernel === undefined) throw new Error(`linux-image-cloud-amd64 depends on no kernel: ${depends}`);
  const kernelPackage = await debian.field(`linux-image-${kernel}`, 'Version');
  return { kernel, kernelPackage, zfs: await debian.field('zfs-dkms', 'Version') };
}

/**
 * Compiles the modules of OpenZFS for the kernel, or finds them in the cache.
 *
 * @returns The directory with the `.ko` files.
 */
export async function zfsModules(versions: Versions, place: BuildPlace): Promise<string> {
  const { kernel, kernelPackage, zfs } = versions;
  const modules = join(guestCache, `modules-${kernel}_${kernelPackage}_zfs-${zfs}`);
  if (await isThere(modules)) return modules;
  const { debian, log, temp } = place;
  const system = join(temp, 'compiler');
  log.step(`a compiler and the headers of Linux ${kernel}`);
  await debian.system([...COMPILER, `linux-headers-${kernel}`], system);
  await debian.unpack('zfs-dkms', join(system, 'zfs'));
  await compile(system, { versions, log });
  const unfinished = join(temp, 'modules');
  await mkdir(unfinished);
  for await (const file of glob(join(system, 'zfs/usr/src/zfs-*/module/**/*.ko'))) {
    await log.run('chroot', [system, 'strip', '--strip-debug', file.slice(system.length)]);
    await copyFile(file, join(unfinished, basename(file)));
  }
  await rm(system, { recursive: true });
  await rename(unfinished, modules);
  return modules;
}

async function compile(
  system: string,
  { versions, log }: { readonly versions: Versions; readonly log: BuildLog },
): Promise<void> {
  const { kernel, zfs } = versions;
  const headers = `/usr/src/linux-headers-${kernel}`;
  const common = headers.replace('-cloud-amd64', '-common');
  const inSources = (command: string) =>
    log.run('chroot', [system, 'sh', '-ec', `cd /zfs/usr/src/zfs-*/ && ${command}`]);
  log.step(`OpenZFS ${zfs}: configure`);
  await inSources(
    `./configure -q --with-config=kernel --disable-dependency-tracking --with-linux=${common} --with-linux-obj=${headers}`,
  );
  log.step(`OpenZFS ${zfs}: compile (5 to 10 minutes, only this once)`);
  // The headers ask for debugging symbols, which are stripped.
  await inSources(`make -s -j${availableParallelism()} KCFLAGS=-g0`);
}
