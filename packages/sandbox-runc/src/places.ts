import { posix } from 'node:path';
import {
  err,
  type Failed,
  failed,
  type Inside,
  ok,
  type Result,
  resolveInside,
} from '@snapstep/core/backend';
import { Stubs } from './stubs.ts';

/** What a path of the step's world is made of: the root file system with other trees mounted in it. */
interface Tree {
  /** The target as it was asked for. */
  readonly target: string;
  /** Where that is, as a path of the world without links. */
  readonly place: string;
  readonly host: string;
  readonly stubs: Stubs;
}

/** The file systems of the container's own: nothing in them is kept. */
const OWN = ['/proc', '/sys', '/dev'];

/**
 * Finds, and makes, the places at which things are mounted in one step's world.
 *
 * Links are followed as the kernel would after a chroot; the runtime is handed a path without any, so there is
 * nothing left for it to follow.
 */
export class Places {
  readonly #rootfs: Tree;
  readonly #mounted: Tree[] = [];
  readonly #taken = new Set<string>();

  constructor(rootfs: string) {
    this.#rootfs = { target: '/', place: '/', host: rootfs, stubs: new Stubs(rootfs) };
  }

  /** Makes sure that /proc, /dev and /sys are directories, which a runtime insists on. */
  async prepareSystem(): Promise<Result<void, Failed>> {
    for (const path of OWN) {
      const place = await this.#prepare(this.#rootfs, path, 'directory');
      if (place.isErr()) return err(place.error);
      if (place.value !== path)
        return err(failed(`${path} of the image is a symbolic link to ${place.value}`));
    }
    return ok();
  }

  /**
   * @param directory - Where the mounted tree is on the host, if it is one; targets below it lie in that tree.
   * Targets must come sorted, so that what lies in a mounted tree comes after it.
   * @returns The path to mount at.
   */
  async mountPoint(target: string, directory?: string): Promise<Result<string, Failed>> {
    const text = posix.normalize(target).replace(/(?<=.)\/$/, '');
    if (text === '/' || OWN.includes(text) || isBelow(text, '/proc') || isBelow(text, '/sys')) {
      return err(failed(`nothing can be mounted at ${target}`));
    }
    const kind = directory === undefined ? 'file' : 'directory';
    // The runtime makes what it needs in the container's own /dev.
    const place = isBelow(text, '/dev') ? ok(text) : await this.#prepare(this.#treeOf(text), text, kind);
    if (place.isErr()) return err(place.error);
    if (this.#taken.has(place.value)) return err(failed(`two things are to be mounted at ${place.value}`));
    this.#taken.add(place.value);
    if (directory !== undefined) {
      this.#mounted.unshift({
        target: text,
        place: place.value,
        host: directory,
        stubs: new Stubs(directory),
      });
    }
    return place;
  }

  /** Where a working directory is, and what is missing of it. */
  async workingDirectory(path: string): Promise<Result<{ place: string; inside?: Inside }, Failed>> {
    const text = posix.normalize(path).replace(/(?<=.)\/$/, '');
    const tree = this.#treeOf(text);
    const inside = await this.#resolve(tree, text);
    if (inside.isErr()) return err(inside.error);
    const place = worldPath(tree, inside.value);
    // In /proc a directory can be a door to the host's files (CVE-2024-21626).
    if ([text, place].some((each) => each === '/proc' || isBelow(each, '/proc'))) {
      return err(failed(`${path} cannot be a working directory: it is in /proc`));
    }
    if (OWN.some((own) => isBelow(text, own))) return ok({ place: text });
    return ok({ place, inside: inside.value });
  }

  /** Takes back every place that was made. */
  async remove(): Promise<void> {
    for (const tree of [...this.#mounted, this.#rootfs]) await tree.stubs.remove();
  }

  #treeOf(path: string): Tree {
    return this.#mounted.find(({ target }) => isBelow(path, target)) ?? this.#rootfs;
  }

  async #prepare(tree: Tree, target: string, kind: 'file' | 'directory'): Promise<Result<string, Failed>> {
    const inside = await this.#resolve(tree, target);
    if (inside.isErr()) return err(inside.error);
    const place = worldPath(tree, inside.value);
    if (tree === this.#rootfs && this.#mounted.some((other) => isBelow(place, other.place))) {
      return err(failed(`${target} is a link into another mount, to ${place}`));
    }
    const made = await tree.stubs.make(inside.value, kind);
    return made.map(() => place);
  }

  /** In a mounted tree a link may point anywhere in the world, so there we follow none. */
  async #resolve(tree: Tree, target: string): Promise<Result<Inside, Failed>> {
    const path = tree === this.#rootfs ? target : target.slice(tree.target.length);
    const inside = await resolveInside(tree.host, path, { followLast: true });
    if (inside.isErr() || tree === this.#rootfs) return inside;
    if (worldPath({ ...tree, place: '' }, inside.value) === path) return inside;
    return err(failed(`${target} goes through a symbolic link of what is mounted at ${tree.target}`));
  }
}

function worldPath(tree: Pick<Tree, 'host' | 'place'>, { existing, missing }: Inside): string {
  const parts = [existing.slice(tree.host.length), ...missing].join('/');
  return posix.join(tree.place || '/', parts);
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`);
}
