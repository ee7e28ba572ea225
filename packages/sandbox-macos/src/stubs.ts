import type { BigIntStats } from 'node:fs';
import { chmod, chown, lstat, mkdir, rmdir, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Inside, isDiskFull, type Owner, runCommand } from '@snapstep/core/backend';
import createDebug from 'debug';

const debug = createDebug('snapstep:stubs');

interface Made {
  readonly path: string;
  readonly stats: BigIntStats;
}

/** The directory in which something was made, and its modification time before and after that. */
interface Parent {
  readonly path: string;
  readonly before: bigint;
  readonly after: bigint;
}

/**
 * A directory that something is mounted on, for the time of a step: made if it is missing, and taken back after it.
 * What was there before is there again, also where unmounting has removed it, as ZFS does with an empty directory.
 */
export class Stub {
  readonly #path: string;
  readonly #before: BigIntStats | undefined;
  readonly #made: readonly Made[];
  readonly #parent: Parent;
  #over: BigIntStats | undefined;

  private constructor(
    path: string,
    found: {
      readonly before: BigIntStats | undefined;
      readonly made: readonly Made[];
      readonly parent: Parent;
    },
  ) {
    this.#path = path;
    this.#before = found.before;
    this.#made = found.made;
    this.#parent = found.parent;
  }

  static async make({ existing, missing }: Inside, owner: Owner): Promise<Stub> {
    const isThere = missing.length === 0;
    const top = isThere ? dirname(existing) : existing;
    const before = (await lstat(top, { bigint: true })).mtimeNs;
    const made = await makeDirectories({ existing, missing }, owner);
    const after = (await lstat(top, { bigint: true })).mtimeNs;
    return new Stub(join(existing, ...missing), {
      before: isThere ? await lstat(existing, { bigint: true }) : undefined,
      made,
      parent: { path: top, before, after },
    });
  }

  /** To be called once something is mounted here. */
  async cover(): Promise<void> {
    this.#over = await lstat(this.#path, { bigint: true });
  }

  /** Whether that is still mounted here. What the command may have put in its place is something else. */
  async isCovered(): Promise<boolean> {
    return isSame(await lstat(this.#path, { bigint: true }).catch(() => undefined), this.#over);
  }

  /**
   * To be called once nothing is mounted here any more, and nobody else changes the tree.
   *
   * @param root - The tree that the directory is in: the command may have moved it elsewhere in there.
   * @param wasInPlace - Whether what was mounted was still here at the end.
   */
  async remove({ root, wasInPlace }: { readonly root: string; readonly wasInPlace: boolean }): Promise<void> {
    if (!wasInPlace) return this.#removeMoved(root);
    const parent = await lstat(this.#parent.path, { bigint: true });
    const isGone = (await lstat(this.#path).catch(() => undefined)) === undefined;
    // The time of a directory that unmounting has changed says nothing about the command.
    const isOurs = parent.mtimeNs === this.#parent.after || isGone;
    if (this.#before && isGone) await this.#makeAgain(this.#before);
    for (const { path, stats } of this.#made.toReversed()) await removeSame(path, stats);
    const untouched = isOurs ? this.#parent.before : parent.mtimeNs;
    if (this.#made.length > 0 || isGone) await setModified(this.#parent.path, untouched);
  }

  /** What we have made is looked for, without following a link that may be in its place. */
  async #removeMoved(root: string): Promise<void> {
    if (this.#made.length === 0) return;
    const inodes = this.#made.flatMap(({ stats }) => ['-o', '-inum', `${stats.ino}`]).slice(1);
    const found = await runCommand('find', [root, '-xdev', '-type', 'd', '(', ...inodes, ')', '-print0']);
    if (found.isErr()) return debug('cannot look for what was moved: %o', found.error);
    const paths = found.value.split('\0').filter((path) => path !== '');
    for (const path of paths.toSorted((a, b) => b.length - a.length)) {
      for (const { stats } of this.#made) await removeSame(path, stats);
    }
  }

  async #makeAgain(before: BigIntStats): Promise<void> {
    await mkdir(this.#path);
    await chmod(this.#path, Number(before.mode) & 0o7777);
    await chown(this.#path, Number(before.uid), Number(before.gid));
    await setModified(this.#path, before.mtimeNs);
  }
}

/** Makes what is missing of a path, for somebody. */
export async function makeDirectories(
  { existing, missing }: Inside,
  { uid, gid }: Owner,
): Promise<readonly Made[]> {
  const made: Made[] = [];
  for (const name of missing) {
    const path = join(made.at(-1)?.path ?? existing, name);
    await mkdir(path);
    await chmod(path, 0o755);
    await chown(path, uid, gid);
    made.push({ path, stats: await lstat(path, { bigint: true }) });
  }
  return made;
}

async function removeSame(path: string, stats: BigIntStats): Promise<void> {
  const now = await lstat(path, { bigint: true }).catch(() => undefined);
  if (!isSame(now, stats)) return;
  await rmdir(path).catch((error) => {
    if (isDiskFull(error)) throw error;
    debug('kept: %s', error);
  });
}

function isSame(one: BigIntStats | undefined, other: BigIntStats | undefined): boolean {
  return one !== undefined && one.dev === other?.dev && one.ino === other.ino;
}

/** Node rounds a time to what a floating-point number holds; then touch(1) sets it to the nanosecond. */
async function setModified(path: string, nanoseconds: bigint): Promise<void> {
  const { atimeMs } = await lstat(path);
  await utimes(path, atimeMs / 1000, Number(nanoseconds) / 1e9);
  if ((await lstat(path, { bigint: true })).mtimeNs === nanoseconds) return;
  const seconds = new Date(Number(nanoseconds / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  const fraction = `${nanoseconds % 1_000_000_000n}`.padStart(9, '0');
  const set = await runCommand('touch', ['-c', '-m', '-d', `${seconds}.${fraction}Z`, path]);
  if (set.isErr()) debug('time of %s: %o', path, set.error);
}
