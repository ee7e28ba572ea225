import { type BigIntStats, chmodSync, lchownSync, lstatSync, lutimesSync, mkdirSync } from 'node:fs';
import { err, ok, type Result } from 'neverthrow';
import { type BytePath, toBytePath, toFsPath, toReadable } from '../backend/byte-path.ts';
import { type Failed, failed } from '../backend/failures.ts';
import { resolveBytes } from '../backend/inside.ts';
import type { HostPath, Owner } from '../backend/names.ts';
import { splitPath, type TreePath } from '../plan/tree-path.ts';

/**
 * The directories that a copy writes to: made where they are missing, found through links where they are
 * there, and left with the times they had.
 */
export class TargetDirectories {
  readonly #root: BytePath;
  readonly #owner: Owner;
  /** Directory of the copy's world → where it really is on the host, without a link on the way. */
  readonly #known = new Map<TreePath, BytePath>();
  /** Host path → the modification time it shall have in the end, in nanoseconds. */
  readonly #times = new Map<BytePath, bigint>();
  /** Whether a link leads through what was not there: each file that is written may lead it elsewhere. */
  #mayMove = false;

  constructor(root: HostPath, owner: Owner) {
    this.#root = toBytePath(root);
    this.#owner = owner;
  }

  /**
   * @param path - Of the copy's world.
   * @param source - Whose modification time it gets, if it has to be made.
   * @returns Its host path, with no link on the way.
   */
  async need(path: TreePath, source?: BigIntStats): Promise<Result<BytePath, Failed>> {
    const known = this.#known.get(path);
    if (known !== undefined) return ok(known);
    const found = await this.#find(path, source);
    if (found.isOk() && !this.#mayMove) this.#known.set(path, found.value);
    return found;
  }

  /** Called when a link was taken away: any directory may have been found through it. */
  forget(): void {
    this.#known.clear();
  }

  /** Called at the end: what was written below must not change a directory's time. */
  setTimes(): void {
    for (const [path, mtime] of [...this.#times].reverse()) {
      const now = lstatSync(toFsPath(path), { bigint: true });
      if (now.mtimeNs !== mtime) lutimesSync(toFsPath(path), Number(now.atimeNs) / 1e9, Number(mtime) / 1e9);
    }
  }

  async #find(path: TreePath, source: BigIntStats | undefined): Promise<Result<BytePath, Failed>> {
    const spot = splitPath(path);
    if (spot === undefined) return this.#existing(this.#root);
    const parent = await this.need(spot.directory);
    if (parent.isErr()) return parent;
    const host = `${parent.value}/${spot.name}`;
    const stat = lstatSync(toFsPath(host), { throwIfNoEntry: false });
    if (stat === undefined) return ok(this.#make(host, source));
    if (stat.isDirectory()) return this.#existing(host);
    return stat.isSymbolicLink() ? this.#follow(path, source) : notDirectory(path);
  }

  async #follow(path: TreePath, source: BigIntStats | undefined): Promise<Result<BytePath, Failed>> {
    const there = await resolveBytes(this.#root, path, { followLast: true });
    if (there.isErr()) return err(there.error);
    const { existing, missing, detour } = there.value;
    if (detour) this.#mayMove = true;
    if (!lstatSync(toFsPath(existing)).isDirectory()) return notDirectory(path);
    this.#existing(existing);
    let host = existing;
    for (const [i, name] of missing.entries()) {
      host = this.#make(`${host}/${name}`, i === missing.length - 1 ? source : undefined);
    }
    return ok(host);
  }

  #existing(host: BytePath): Result<BytePath, Failed> {
    if (!this.#times.has(host)) this.#times.set(host, lstatSync(toFsPath(host), { bigint: true }).mtimeNs);
    return ok(host);
  }

  #make(host: BytePath, source: BigIntStats | undefined): BytePath {
    mkdirSync(toFsPath(host));
    chmodSync(toFsPath(host), 0o755);
    lchownSync(toFsPath(host), this.#owner.uid, this.#owner.gid);
    if (source) this.#times.set(host, source.mtimeNs);
    return host;
  }
}

function notDirectory(path: TreePath): Result<never, Failed> {
  return err(failed(`cannot copy below "/${toReadable(path)}": it is not a directory`));
}
