import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, chown, lstat, mkdir, open, statfs, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import type { Owner, SecretFile } from '@snapstep/core/backend';
import { removeTree } from './remove-tree.ts';
import { isBelow } from './step-path.ts';

/** The directory of one step that its user can reach and no other user can. It is in no volume. */
export class PrivatePlace implements AsyncDisposable {
  readonly #path: string;
  /** Below it lies each secret at the path of its target. Absent where there are none. */
  readonly secretsDir: string | undefined;

  private constructor(path: string, secretsDir: string | undefined) {
    this.#path = path;
    this.secretsDir = secretsDir;
  }

  static async make(
    parent: string,
    { owner, secrets }: { readonly owner: Owner; readonly secrets: readonly SecretFile[] },
  ): Promise<PrivatePlace> {
    const path = join(parent, randomBytes(8).toString('hex'));
    const secretsDir = secrets.length === 0 ? undefined : join(path, 'secrets');
    const place = new PrivatePlace(path, secretsDir);
    try {
      await mkdir(path, { mode: 0o700 });
      // Root's, so that what is in it can be neither replaced nor removed.
      if (secretsDir !== undefined) await makeDirectory(secretsDir);
      for (const secret of secrets) await writeSecret(join(path, 'secrets'), secret, owner);
      await chown(path, owner.uid, owner.gid);
      return place;
    } catch (error) {
      await place[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where the session writes how the command ended. */
  get report(): string {
    return join(this.#path, 'exit');
  }

  /** The exit code of the command; undefined if its session was ended before it could say. */
  async exitCode(): Promise<number | undefined> {
    const text = await readShort(this.report).catch(() => '');
    return /^\d{1,3}\n$/.test(text) ? Number(text) : undefined;
  }

  /** Whether there was no room for the report. */
  async isDiskFull(): Promise<boolean> {
    const { bavail, files, ffree } = await statfs(this.#path);
    return bavail === 0 || (files > 0 && ffree === 0);
  }

  /** Never rejects. What of it stays is root's alone, is told as a warning, and goes when the sandbox is opened again. */
  async [Symbol.asyncDispose](): Promise<void> {
    const stats = await lstat(this.#path).catch(() => undefined);
    const left = stats === undefined ? [] : await removeTree(this.#path, stats.dev);
    if (left.length > 0) process.emitWarning(`something of a step was left behind: ${left.join(', ')}`);
  }
}

/** The command may have put something else in the place of the file: a link, a pipe that nobody writes to, a disk. */
async function readShort(path: string): Promise<string> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  await using file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!(await file.stat()).isFile()) return '';
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(8) });
  return buffer.toString('utf8', 0, bytesRead);
}

/** Two secrets that cannot both be files: at one place, by a Mac's rules for letters, or one below the other. */
export function collisionOf(secrets: readonly SecretFile[]): readonly [string, string] | undefined {
  const places = secrets.map(({ target }) => posix.join('/', target).toLowerCase());
  for (const [at, place] of places.entries()) {
    const other = places.findIndex((one, index) => index !== at && (one === place || isBelow(one, place)));
    if (other !== -1) return [secrets[at]?.target ?? '', secrets[other]?.target ?? ''];
  }
  return undefined;
}

async function writeSecret(directory: string, { target, value }: SecretFile, owner: Owner): Promise<void> {
  const file = join(directory, posix.join('/', target));
  await makeDirectory(dirname(file));
  await writeFile(file, value, { mode: 0o400, flag: 'wx' });
  await chmod(file, 0o400);
  await chown(file, owner.uid, owner.gid);
}

/** Not left to the umask of the host program. */
async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  for (let made = path; first !== undefined && made.length >= first.length; made = dirname(made)) {
    await chmod(made, 0o755);
  }
}
