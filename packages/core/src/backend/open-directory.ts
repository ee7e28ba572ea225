import { type BigIntStats, closeSync, constants, fstatSync, openSync } from 'node:fs';
import { type BytePath, toFsPath } from './byte-path.ts';

/** Linux' `O_PATH`, which Node does not name: only a place in the tree, for which nothing need be readable. */
const O_PATH = 0o10000000;
const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Only Linux looks up names below a descriptor for who has nothing but paths. */
const hasDescriptorPaths = process.platform === 'linux';

interface Above {
  readonly dev: bigint;
  readonly ino: bigint;
}

/**
 * A directory in a tree that others may change, and the way to it from the top. Names are looked up in the directory
 * itself, whatever has become of the path to it: a directory that is exchanged for a link leads nowhere. On systems but
 * Linux names are looked up by their paths, and this does not hold.
 *
 * It has one descriptor, however deep the tree is: on the way back each directory is found from the one below it, and must
 * be the one that it was.
 */
export class OpenDirectory implements Disposable {
  readonly #top: BytePath;
  readonly #above: Above[] = [];
  readonly #names: BytePath[] = [];
  #descriptor: number | undefined;

  /** @param top - Absolute, and without links in it. */
  private constructor(top: BytePath) {
    this.#top = top;
    if (hasDescriptorPaths) this.#descriptor = openSync(toFsPath(top), FLAGS);
  }

  /** @throws What the system says if it is no directory. */
  static open(top: BytePath): OpenDirectory {
    return new OpenDirectory(top);
  }

  /** How many directories were entered from the top. */
  get depth(): number {
    return this.#names.length;
  }

  /**
   * By which `name` can be reached until this goes elsewhere.
   *
   * @param name - What is in the directory; `.` for itself.
   */
  path(name: BytePath): BytePath {
    if (this.#descriptor !== undefined) return `/proc/self/fd/${this.#descriptor}/${name}`;
    const top = this.#top === '/' ? '' : this.#top;
    return [top, ...this.#names, name].join('/');
  }

  /**
   * Goes into a directory.
   *
   * @param stat - What `lstat` said of it.
   * @returns False if it is another one by now: then this has gone nowhere.
   * @throws What the system says.
   */
  enter(name: BytePath, stat: BigIntStats): boolean {
    if (this.#descriptor !== undefined) {
      const { dev, ino } = fstatSync(this.#descriptor, { bigint: true });
      if (!this.#replace(this.path(name), stat)) return false;
      this.#above.push({ dev, ino });
    }
    this.#names.push(name);
    return true;
  }

  /**
   * Goes back to where so many directories were entered.
   *
   * @returns False if one on the way is another one by now: then nothing can be reached any more.
   * @throws What the system says.
   */
  leave(depth: number): boolean {
    while (this.#names.length > depth) {
      this.#names.pop();
      const above = this.#above.pop();
      if (above !== undefined && !this.#replace(this.path('..'), above)) return false;
    }
    return true;
  }

  [Symbol.dispose](): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #replace(path: BytePath, wanted: Pick<BigIntStats, 'dev' | 'ino'>): boolean {
    const next = openSync(toFsPath(path), FLAGS);
    const { dev, ino } = fstatSync(next, { bigint: true });
    if (dev !== wanted.dev || ino !== wanted.ino) {
      closeSync(next);
      return false;
    }
    closeSync(this.#descriptor as number);
    this.#descriptor = next;
    return true;
  }
}
