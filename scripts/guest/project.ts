import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { openBuildLog } from './build-log.ts';
import { guestCache, isThere, lockCache, unfinishedDir } from './cache.ts';
import { buildDisk } from './image.ts';

export const repository: string = resolve(import.meta.dirname, '../..');

/** Tools that no test of the guest needs, and that are most of node_modules. */
const LEFT_OUT = [
  '@biomejs+*',
  '@changesets+*',
  '@typescript+*',
  'typescript@*',
  'knip@*',
  'oxc-parser@*',
  '@oxc-parser+*',
  'dependency-cruiser@*',
  'publint@*',
  'esbuild@*',
  '@esbuild+*',
];

/** What changes between two runs: it goes with each job. */
const SOURCES = [
  'package.json',
  'tsconfig.json',
  'tsconfig.base.json',
  'vitest.guest.config.ts',
  'packages',
  'test/support',
];

const DISK_BYTES = 4 * 2 ** 30;
const DISK = 'project-';

/**
 * A disk with node_modules and this Node, made once for each lock file.
 *
 * @returns Its path, for `project` of a job.
 */
export async function projectDisk(signal: AbortSignal): Promise<string> {
  const disk = join(guestCache, `${DISK}${await key()}.img`);
  if (await isThere(disk)) return disk;
  await using _lock = await lockCache(signal);
  if (await isThere(disk)) return disk;
  const log = openBuildLog({ file: join(guestCache, 'project.log'), signal });
  log.step('a disk with node_modules and Node');
  const temp = await unfinishedDir();
  try {
    const tree = join(temp, 'tree');
    await mkdir(join(tree, '.guest/bin'), { recursive: true });
    await copyFile(process.execPath, join(tree, '.guest/bin/node'));
    const exclude = LEFT_OUT.map((name) => `--exclude=node_modules/.pnpm/${name}`);
    const copy = 'cd "$1" && tree=$2 && shift 2 && tar -c "$@" | tar -C "$tree" -x';
    await log.run('sh', ['-ec', copy, 'sh', repository, tree, ...exclude, ...(await moduleDirs())]);
    await buildDisk(tree, join(temp, 'disk'), { bytes: DISK_BYTES, log });
    await removeOldDisks();
    await rename(join(temp, 'disk'), disk);
    log.step('ready');
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
  return disk;
}

/** Adds the sources of the work tree to the tar file of a job. */
export async function addSources(job: string): Promise<void> {
  const sources: string[] = [];
  for (const path of SOURCES) if (await isThere(join(repository, path))) sources.push(path);
  const options = ['--exclude=node_modules', '--exclude=dist', '--transform=s,^,project/,S'];
  await execa('tar', ['-C', repository, ...options, '-rf', job, ...sources]);
}

async function key(): Promise<string> {
  const hash = createHash('sha256').update(process.version).update(process.execPath);
  for (const file of [join(repository, 'pnpm-lock.yaml'), import.meta.filename])
    hash.update(await readFile(file));
  return hash.digest('hex').slice(0, 12);
}

/** pnpm gives each package its own, with links into the one at the top. */
async function moduleDirs(): Promise<string[]> {
  const packages = (await readdir(join(repository, 'packages'))).map((name) => `packages/${name}`);
  const all = ['node_modules', ...[...packages, 'test/support'].map((dir) => `${dir}/node_modules`)];
  const there: string[] = [];
  for (const dir of all) if (await isThere(join(repository, dir))) there.push(dir);
  return there;
}

async function removeOldDisks(): Promise<void> {
  for (const name of await readdir(guestCache)) {
    if (name.startsWith(DISK) && name.endsWith('.img')) await rm(join(guestCache, name));
  }
}
