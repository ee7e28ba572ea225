import type { BigIntStats } from 'node:fs';
import { chmod, lstat, mkdir, rmdir, unlink, utimes, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { err, type Failed, failed, type Inside, isDiskFull, ok, type Result } from '@snapstep/core/backend';
import createDebug from 'debug';
import { findInodes } from './find.ts';
import { setModified } from './touch.ts';

const debug = createDebug('snapstep:stubs');

/** What a path is; equal identities are the same file, also after a rename. */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

interface Stub extends Identity {
  path: string;
  readonly kind: 'file' | 'directory';
}

/** A directory that was there before, and in which we made something. */
interface Parent extends Identity {
  path: string;
  readonly before: bigint;
  /** Its modification time once we were done making; a later one is the command's doing. */
  after: bigint;
}

/**
 * The empty files and directories made in a file tree so that there is something to mount on.
 *
 * {@link remove} takes back exactly those, once the command has ended and nobody else changes the tree.
 */
export class Stubs {
  readonly #root: string;
  readonly #made: Stub[] = [];
  readonly #parents = new Map<string, Parent>();

  /** @param root - The tree. Nothing outside is touched, whatever links the command has put into it. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Makes what is missing of a path. What is there already must be of the right kind. */
  async make(place: Inside, kind: Stub['kind']): Promise<Result<void, Failed>> {
    if (place.missing.length === 0) return checkKind(place.existing, kind);
    await this.#remember(place.existing);
    let path = place.existing;
    for (const [index, name] of place.missing.entries()) {
      path = join(path, name);
      await this.#makeOne(path, index < place.missing.length - 1 ? 'directory' : kind);
    }
    const parent = this.#parents.get(place.existing);
    if (parent !== undefined) parent.after = (await lstat(parent.path, { bigint: true })).mtimeNs;
    return ok();
  }

  /**
   * Removes each stub that is still what it was, and puts back the times of the directories they were in.
   *
   * @throws What a system call says where the disk has no room for that: then the tree is not as the command left it.
   */
  async remove(): Promise<void> {
    await this.#findMoved();
    const times = new Map<Parent, bigint>();
    for (const parent of this.#parents.values()) {
      const stat = await this.#lookUp(parent);
      if (stat) times.set(parent, stat.mtimeNs === parent.after ? parent.before : stat.mtimeNs);
    }
    const kept = new Set<string>();
    const inner = this.#made.toSorted((a, b) => b.path.length - a.path.length);
    for (const stub of inner) {
      if (!(await this.#removeOne(stub))) kept.add(stub.path);
    }
    for (const [parent, time] of times) {
      const hasStub = [...kept].some((path) => join(path, '..') === parent.path);
      if (!hasStub) await restoreModified(parent.path, time);
    }
  }

  async #remember(path: string): Promise<void> {
    if (this.#parents.has(path) || this.#made.some((stub) => stub.path === path)) return;
    const { dev, ino, mtimeNs } = await lstat(path, { bigint: true });
    this.#parents.set(path, { path, dev, ino, before: mtimeNs, after: mtimeNs });
  }

  async #makeOne(path: string, kind: Stub['kind']): Promise<void> {
    if (kind === 'file') await writeFile(path, '', { flag: 'wx', mode: 0o644 });
    else await mkdir(path);
    // Not left to the umask: a directory stays if the command puts something into it.
    if (kind === 'directory') await chmod(path, 0o755);
    const { dev, ino } = await lstat(path, { bigint: true });
    this.#made.push({ path, kind, dev, ino });
  }

  /** What is mounted on cannot be removed or renamed, but a directory above it can: then it is looked for, once. */
  async #findMoved(): Promise<void> {
    const moved: (Identity & { path: string })[] = [];
    for (const entry of [...this.#parents.values(), ...this.#made]) {
      if ((await this.#lookUp(entry)) === undefined) moved.push(entry);
    }
    if (moved.length === 0) return;
    const inodes = new Set(moved.map(({ ino }) => ino));
    const found = await findInodes(this.#root, [...inodes]);
    if (found.isErr()) return debug('cannot look for what was moved: %s', found.error);
    for (const { ino, path } of found.value) {
      const entry = moved.find((each) => each.ino === ino);
      if (entry) entry.path = path;
    }
  }

  async #removeOne(stub: Stub): Promise<boolean> {
    const stat = await this.#lookUp(stub);
    if (stat === undefined) return true;
    try {
      if (stub.kind === 'directory') await rmdir(stub.path);
      else if (stat.isFile() && stat.size === 0n && stat.nlink === 1n) await unlink(stub.path);
      else return false;
      return true;
    } catch (error) {
      if (error instanceof Error && isDiskFull(error)) throw error;
      return false;
    }
  }

  /** The entry at that path if it is still the same one and no component on the way there is a link. */
  async #lookUp(entry: Identity & { readonly path: string }): Promise<BigIntStats | undefined> {
    let path = this.#root;
    for (const name of ['', ...relative(this.#root, entry.path).split('/')]) {
      path = join(path, name);
      const stat = await lstat(path, { bigint: true }).catch(() => undefined);
      if (stat === undefined) return undefined;
      if (path === entry.path) return stat.dev === entry.dev && stat.ino === entry.ino ? stat : undefined;
      if (!stat.isDirectory()) return undefined;
    }
    return undefined;
  }
}

async function checkKind(path: string, kind: Stub['kind']): Promise<Result<void, Failed>> {
  const isDirectory = (await lstat(path)).isDirectory();
  if (isDirectory === (kind === 'directory')) return ok();
  return err(failed(`cannot mount a ${kind} on ${path}, which is ${isDirectory ? 'a directory' : 'a file'}`));
}

/** Most base images have times of whole seconds, which need no program to be set. */
async function restoreModified(path: string, nanoseconds: bigint): Promise<void> {
  const { atimeMs } = await lstat(path);
  await utimes(path, atimeMs / 1000, Number(nanoseconds) / 1e9);
  const { mtimeNs } = await lstat(path, { bigint: true });
  if (mtimeNs === nanoseconds || nanoseconds <= 0n) return;
  const set = await setModified(path, nanoseconds);
  if (set.isErr()) debug('time of %s: %o', path, set.error);
}
