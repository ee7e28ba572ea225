import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFile } from '@snapstep/core/backend';
import createDebug from 'debug';
import { asObject, parseJson, sha256 } from './manifest.ts';
import { isDigest } from './reference.ts';

const debug = createDebug('snapstep:fetcher-oci');

/** What a reference meant when it was last asked about. The registry itself had the manifests of both. */
export interface Pin {
  /** Of the image for the platform. */
  readonly digest: string;
  /** Of what the reference itself leads to: the same, or the index that the image is in. */
  readonly root: string;
}

/** References are many only where each build has a digest of its own; the least recently used go. */
const MOST_PINS = 20_000;

/**
 * What references mean, each in a small file of its own: several processes may share the directory, and damage to one file
 * is a pin that is not known. Nobody waits for the disk: a pin of the last seconds may be lost in a power cut.
 */
export class Pins implements AsyncDisposable {
  readonly #directory: string;
  /** Those that there was no room for. */
  readonly #unwritten = new Map<string, Pin>();
  readonly #going = new Set<Promise<unknown>>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Rejects with what the system says, but where the disk is full: there it remembers in memory. */
  static async open(directory: string): Promise<Pins> {
    const isInTheWay = (await stat(directory).catch(() => undefined))?.isDirectory() === false;
    if (isInTheWay) await rm(directory);
    await mkdir(directory, { mode: 0o700 }).catch(() => undefined);
    const pins = new Pins(directory);
    pins.#later(prune(directory));
    return pins;
  }

  get(reference: string): Pin | undefined {
    return this.#unwritten.get(reference) ?? readPin(this.#path(reference), reference);
  }

  /** When the reference was last found to mean that; undefined if it is not known. */
  confirmedAt(reference: string): Date | undefined {
    return statSync(this.#path(reference), { throwIfNoEntry: false })?.mtime;
  }

  /** The reference was asked about just now. */
  async set(reference: string, pin: Pin): Promise<void> {
    const path = this.#path(reference);
    const known = readPin(path, reference);
    if (known?.digest === pin.digest && known.root === pin.root) return this.#touch(path);
    const written = await write(path, textOf(reference, pin));
    if (written) this.#unwritten.delete(reference);
    else this.#unwritten.set(reference, pin);
    if (written) this.#later(this.#sync(path));
  }

  async forget(reference: string): Promise<void> {
    this.#unwritten.delete(reference);
    await rm(this.#path(reference), { recursive: true, force: true }).catch(() => undefined);
  }

  /** Waits for the disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#going);
  }

  async #touch(path: string): Promise<void> {
    const now = new Date();
    await utimes(path, now, now).catch(() => undefined);
  }

  async #sync(path: string): Promise<void> {
    for (const each of [path, this.#directory]) await syncFile(each);
  }

  #later(work: Promise<unknown>): void {
    const going = work
      .catch((error: unknown) => debug('%s: %o', this.#directory, error))
      .finally(() => this.#going.delete(going));
    this.#going.add(going);
  }

  #path(reference: string): string {
    return join(this.#directory, `${createHash('sha256').update(reference).digest('hex')}.json`);
  }
}

function textOf(reference: string, { digest, root }: Pin): string {
  const check = checkOf(reference, { digest, root });
  return `${JSON.stringify({ reference, digest, root, check })}\n`;
}

/**
 * Earlier, an index was believed what it said of the image in it. Such a pin has another check: it is asked for again.
 */
function checkOf(reference: string, { digest, root }: Pin): string {
  return sha256([reference, digest, root, ...(digest === root ? [] : ['seen'])].join('\n'));
}

/** Undefined for whatever is not a whole pin of that reference. */
function readPin(path: string, reference: string): Pin | undefined {
  const { digest, root, check } = asObject(parseJson(tryRead(path)));
  if (typeof digest !== 'string' || typeof root !== 'string') return undefined;
  const isWhole = check === checkOf(reference, { digest, root });
  return isWhole && isDigest(digest) && isDigest(root) ? { digest, root } : undefined;
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** @returns Whether it is there under its name. What is in the way, such as a directory, is removed. */
async function write(path: string, text: string): Promise<boolean> {
  const partial = `${path}.${process.pid}.new`;
  try {
    await writeFile(partial, text, { mode: 0o600 });
    await rename(partial, path).catch(async () => {
      await rm(path, { recursive: true, force: true });
      await rename(partial, path);
    });
    return true;
  } catch (error) {
    debug('%s is remembered in memory: %o', path, error);
    await rm(partial, { force: true }).catch(() => undefined);
    return false;
  }
}

async function prune(directory: string): Promise<void> {
  const names = await readdir(directory);
  const halves = names.filter((name) => !/^[0-9a-f]{64}\.json$/.test(name));
  for (const name of halves) await removeOlder(join(directory, name), Date.now() - HOUR);
  if (names.length <= MOST_PINS) return;
  const dated = await Promise.all(
    names.map(async (name) => ({ name, time: (await stat(join(directory, name))).mtimeMs })),
  );
  dated.sort((a, b) => b.time - a.time);
  for (const { name } of dated.slice(MOST_PINS / 2)) await rm(join(directory, name), { force: true });
}

const HOUR = 3_600_000;

/** What a process that was killed has left half written; another process may be writing its own just now. */
async function removeOlder(path: string, time: number): Promise<void> {
  if ((await stat(path)).mtimeMs < time) await rm(path, { recursive: true, force: true });
}
