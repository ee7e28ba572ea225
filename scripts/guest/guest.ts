import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openBuildLog } from './build-log.ts';
import { guestCache, isThere, lockCache, unfinishedDir } from './cache.ts';
import { DEBIAN_KEYS, openDebian } from './debian.ts';
import { buildImage, recipe } from './image.ts';
import { findVersions, type Versions, zfsModules } from './modules.ts';

/** A machine that can be started any number of times, each time as it was made. */
export interface Guest {
  /** Has `vmlinuz`, `initrd.img` and `root.img`. */
  readonly dir: string;
  readonly versions: Versions;
}

/** Why this machine cannot have a guest; undefined if it can. */
export function whyNoGuest(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the guest runs on Linux on x86-64 only';
  if (process.getuid?.() !== 0) return 'only root can make the guest';
  if (!existsSync('/usr/bin/apt-get') || !existsSync(DEBIAN_KEYS))
    return "the guest is made of Debian's packages, by Debian's apt";
  return undefined;
}

/**
 * The guest of our present scripts, made if it is not in the cache. One that is there is used without a look at Debian's
 * archive; another kernel or OpenZFS comes in when the cache or the recipe changes.
 */
export async function openGuest(signal: AbortSignal): Promise<Guest> {
  const suffix = `_${await recipe()}`;
  const ready = await findGuest(suffix);
  if (ready !== undefined) return ready;
  await using _lock = await lockCache(signal);
  return (await findGuest(suffix)) ?? (await buildGuest(suffix, signal));
}

async function findGuest(suffix: string): Promise<Guest | undefined> {
  if (!(await isThere(guestCache))) return undefined;
  const name = (await readdir(guestCache)).find((entry) => entry.startsWith(IMAGE) && entry.endsWith(suffix));
  if (name === undefined) return undefined;
  const dir = join(guestCache, name);
  return { dir, versions: JSON.parse(await readFile(join(dir, 'versions.json'), 'utf8')) as Versions };
}

const IMAGE = 'image-';

async function buildGuest(suffix: string, signal: AbortSignal): Promise<Guest> {
  const log = openBuildLog({ file: join(guestCache, 'build.log'), signal });
  await rm(join(guestCache, 'build.log'), { force: true });
  log.step(`making the guest with OpenZFS in ${guestCache}`);
  const temp = await unfinishedDir();
  try {
    const debian = await openDebian({ dir: join(temp, 'debian'), log });
    const versions = await findVersions(debian);
    const place = { debian, log, temp };
    const modules = await zfsModules(versions, place);
    const { kernel, kernelPackage, zfs } = versions;
    const into = join(guestCache, `${IMAGE}${kernel}_${kernelPackage}_zfs-${zfs}${suffix}`);
    await removeOldImages();
    await buildImage({ modules, into, versions }, place);
    log.step(`ready: Linux ${kernel} with OpenZFS ${zfs}`);
    return { dir: into, versions };
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}

/** Only one recipe is in use at a time. A running guest keeps the files that it has open. */
async function removeOldImages(): Promise<void> {
  for (const name of await readdir(guestCache)) {
    if (name.startsWith(IMAGE)) await rm(join(guestCache, name), { recursive: true });
  }
}
