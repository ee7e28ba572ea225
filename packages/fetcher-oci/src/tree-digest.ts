import { createHash, type Hash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import {
  type Cancelled,
  cancelled,
  err,
  type Failed,
  failed,
  type HashCache,
  heldDirectory,
  OpenDirectory,
  ok,
  type Result,
} from '@snapstep/core/backend';
import { knownDigest, reasonOf, stampOf } from './file-digest.ts';
import { type FileNames, fileNames } from './file-names.ts';

export interface TreeDigest {
  /**
   * Over every name, type, mode, owner, device number, file content, link target and hard link of the tree.
   * Times and extended attributes are not in it.
   */
  readonly digest: string;
  /** Differs from the last one whenever anything in the tree was touched. */
  readonly stamp: string;
}

/**
 * The digest of a directory tree. Only files that changed since they were last seen are read.
 *
 * It is a failure if the tree changes meanwhile, or if something is mounted in it. On Linux a directory that is exchanged for
 * a link meanwhile leads nowhere.
 *
 * @param root - Without links in it.
 */
export async function treeDigest(
  root: string,
  options: { readonly hashes: HashCache; readonly signal: AbortSignal },
): Promise<Result<TreeDigest, Failed | Cancelled>> {
  const walk = new Walk({ ...options, names: await fileNames(root) });
  const done = await walk.run(Buffer.from(root)).catch((error: NodeJS.ErrnoException) => {
    if (error.syscall === undefined) throw error;
    return err(failed(`cannot read the tree ${root}: ${reasonOf(error)}`, error));
  });
  options.hashes.flush();
  return done.map(() => walk.digest());
}

type Step = Result<void, Failed | Cancelled>;

/** System calls that wait for nothing are three times as fast without a promise; this many go without a pause. */
const ENTRIES_PER_TURN = 200;

interface WalkOptions {
  readonly hashes: HashCache;
  readonly names: FileNames;
  readonly signal: AbortSignal;
}

interface Entry {
  /** For people, and to remember the file by. */
  readonly path: Buffer;
  /** In its directory, each character a byte; `.` for the root. */
  readonly name: string;
  readonly depth: number;
}

class Walk {
  readonly #content: Hash = createHash('sha256').update('snapstep directory 1\n');
  readonly #stamps: Hash = createHash('sha256');
  readonly #hardLinks = new Map<string, number>();
  readonly #options: WalkOptions;
  #device = 0n;
  #entries = 0;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  digest(): TreeDigest {
    return { digest: `sha256:${this.#content.digest('hex')}`, stamp: this.#stamps.digest('hex') };
  }

  /** Depth first, the names of each directory in byte order. */
  async run(root: Buffer): Promise<Step> {
    using directory = OpenDirectory.open(root.toString('latin1'));
    const todo: Entry[] = [{ path: root, name: '.', depth: 0 }];
    this.#device = lstatSync(bytes(directory.path('.')), { bigint: true }).dev;
    for (let entry = todo.pop(); entry; entry = todo.pop()) {
      if (this.#entries++ % ENTRIES_PER_TURN === 0) await setImmediate();
      const { signal } = this.#options;
      if (signal.aborted) return err(cancelled(signal));
      const isRoot = entry.depth === 0;
      if (!isRoot && !directory.leave(entry.depth - 1)) return err(changed(entry.path));
      const at = bytes(directory.path(entry.name));
      const stat = lstatSync(at, { bigint: true });
      const added = await this.#add({ ...entry, at }, stat);
      if (added.isErr()) return added;
      if (!stat.isDirectory()) continue;
      if (!isRoot && !directory.enter(entry.name, stat)) return err(changed(entry.path));
      for (const name of readdirSync(bytes(directory.path('.')), 'latin1')
        .sort()
        .reverse()) {
        const path = Buffer.concat([entry.path, SLASH, bytes(name)]);
        todo.push({ path, name, depth: entry.depth + 1 });
      }
    }
    return ok();
  }

  async #add(entry: Entry & { readonly at: Buffer }, stat: BigIntStats): Promise<Step> {
    if (stat.dev !== this.#device) {
      return err(
        failed(`something is mounted at ${entry.path}: unmount it, or it would become part of the image`),
      );
    }
    const held = heldDirectory(stat);
    if (held !== undefined) {
      const what = `the state of a running builder, store, sandbox or fetcher (${held})`;
      return err(failed(`${entry.path} holds ${what}, which cannot be an image`));
    }
    const content = await this.#contentOf(entry, stat);
    if (content.isErr()) return err(content.error);
    this.#stamps.update(`${stampOf(stat)}\n`);
    const name = bytes(entry.depth === 0 ? '' : entry.name);
    const facts = [entry.depth, stat.mode, stat.uid, stat.gid, stat.rdev, name.length, content.value.length];
    this.#content
      .update(`${facts.join(' ')}\n`)
      .update(name)
      .update(content.value);
    return ok();
  }

  async #contentOf(
    { path, at }: { readonly path: Buffer; readonly at: Buffer },
    stat: BigIntStats,
  ): Promise<Result<string | Buffer, Failed | Cancelled>> {
    if (stat.isSymbolicLink()) return ok(readlinkSync(at, { encoding: 'buffer' }));
    if (stat.isDirectory()) return ok('');
    const file = `${stat.ino}`;
    const first = this.#hardLinks.get(file);
    if (first !== undefined) return ok(`link ${first}`);
    if (stat.nlink > 1n) this.#hardLinks.set(file, this.#entries);
    return stat.isFile() ? knownDigest(path, { ...this.#options, at, stat }) : ok('');
  }
}

function changed(path: Buffer): Failed {
  return failed(`${path} was changed while it was read`);
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

const SLASH: Buffer = Buffer.from('/');
