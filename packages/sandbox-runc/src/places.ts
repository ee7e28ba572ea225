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

/** A path of the world, resolved. */
interface Spot {
  readonly tree: Tree;
  readonly place: string;
  /** Where it is in the tree; absent in the container's own /dev, which the runtime makes. */
  readonly inside?: Inside;
}

/** The file systems of the container's own: nothing in them is kept. */
const OWN = ['/proc', '/sys', '/dev'];

/**
 * What a runtime puts into the container's /dev: links into /proc, and devices.
 * https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#default-devices
 */
const DEVICES =
  /^\/dev\/(console|core|fd|full|mqueue|null|ptmx|pts|random|stderr|stdin|stdout|tty|urandom|zero)(\/|$)/;

/**
 * Finds, and makes, the places at which things are mounted in one step's world.
 *
 * Links are followed as the kernel would after a chroot; the runtime is handed a path without any, so there is
 * nothing left for it to follow. What may be used is judged by that path: an earlier step may have made any link.
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
      const inside = await resolveInside(this.#rootfs.host, path, { followLast: true });
      if (inside.isErr()) return err(inside.error);
      const place = worldPath(this.#rootfs, inside.value);
      if (place !== path) return err(failed(`${path} of the image is a symbolic link to ${place}`));
      const made = await this.#rootfs.stubs.make(inside.value, 'directory');
      if (made.isErr()) return err(made.error);
    }
    return ok();
  }

  /**
   * @param directory - Where the mounted tree is on the host, if it is one; targets below it lie in that tree.
   * Directories must come before files, and sorted, so that what lies in a mounted tree comes after it.
   * @returns The path to mount at. Nothing is made where it fails.
   */
  async mountPoint(target: string, directory?: string): Promise<Result<string, Failed>> {
    const text = normalize(target);
    const spot = await this.#locate(text);
    if (spot.isErr()) return err(spot.error);
    const { tree, place, inside } = spot.value;
    const reason = this.#whyNot(text, spot.value);
    if (reason !== undefined) return err(failed(`nothing can be mounted at ${target}: ${reason}`));
    const made = inside && (await tree.stubs.make(inside, directory === undefined ? 'file' : 'directory'));
    if (made?.isErr()) return err(made.error);
    this.#taken.add(place);
    if (directory !== undefined) {
      this.#mounted.unshift({ target: text, place, host: directory, stubs: new Stubs(directory) });
    }
    return ok(place);
  }

  /** Where a working directory is, and what is missing of it. */
  async workingDirectory(path: string): Promise<Result<{ place: string; inside?: Inside }, Failed>> {
    const text = normalize(path);
    const spot = await this.#locate(text);
    if (spot.isErr()) return err(spot.error);
    const { place, inside } = spot.value;
    // In /proc a directory can be a door to the host's files, and /dev/fd leads there (CVE-2024-21626).
    const closed = [text, place].find((each) => isKernels(each) || DEVICES.test(each));
    if (closed !== undefined) {
      return err(failed(`${path} cannot be a working directory: it is ${closed}`));
    }
    return ok({ place, ...(inside && { inside }) });
  }

  /** Takes back every place that was made. */
  async remove(): Promise<void> {
    for (const tree of [...this.#mounted, this.#rootfs]) await tree.stubs.remove();
  }

  #whyNot(text: string, { tree, place }: Spot): string | undefined {
    const closed = [text, place].find((each) => each === '/' || each === '/dev' || isKernels(each));
    if (closed !== undefined) return `it is ${closed}`;
    if (DEVICES.test(place)) return `${place} is the container's own`;
    if (this.#taken.has(place)) return `something else is to be mounted at ${place}`;
    for (const taken of this.#taken) {
      if (isBelow(taken, place)) return `it would hide what is mounted at ${taken}`;
      if (isBelow(place, taken) && tree === this.#rootfs)
        return `it is below a file that is mounted at ${taken}`;
    }
    return undefined;
  }

  async #locate(text: string): Promise<Result<Spot, Failed>> {
    const named = this.#mounted.find(({ target }) => contains(target, text));
    if (named) return this.#locateInMount(named, { path: text.slice(named.target.length), text });
    const found = isBelow(text, '/dev') ? ok({ place: text }) : await this.#locateInRootfs(text);
    if (found.isErr()) return err(found.error);
    const { place } = found.value;
    const owner = this.#mounted.find((other) => contains(other.place, place));
    if (owner) return this.#locateInMount(owner, { path: place.slice(owner.place.length), text });
    return ok({ tree: this.#rootfs, ...found.value });
  }

  async #locateInRootfs(text: string): Promise<Result<Omit<Spot, 'tree'>, Failed>> {
    const inside = await resolveInside(this.#rootfs.host, text, { followLast: true });
    if (inside.isErr()) return err(inside.error);
    const place = worldPath(this.#rootfs, inside.value);
    return ok(isBelow(place, '/dev') ? { place } : { place, inside: inside.value });
  }

  /** In a mounted tree a link may point anywhere in the world, so there we follow none. */
  async #locateInMount(
    tree: Tree,
    { path, text }: { readonly path: string; readonly text: string },
  ): Promise<Result<Spot, Failed>> {
    const inside = await resolveInside(tree.host, path, { followLast: true });
    if (inside.isErr()) return err(inside.error);
    const place = worldPath(tree, inside.value);
    if (place === posix.join(tree.place, path)) return ok({ tree, place, inside: inside.value });
    return err(failed(`${text} goes through a symbolic link of what is mounted at ${tree.target}`));
  }
}

function worldPath(tree: Tree, { existing, missing }: Inside): string {
  return posix.join(tree.place, existing.slice(tree.host.length), ...missing);
}

function normalize(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/$/, '');
}

function isKernels(path: string): boolean {
  return contains('/proc', path) || contains('/sys', path);
}

function contains(directory: string, path: string): boolean {
  return path === directory || isBelow(path, directory);
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(directory === '/' ? directory : `${directory}/`);
}
