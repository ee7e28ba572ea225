import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import type { Owner, SecretFile } from '@snapstep/core/backend';

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
    const text = await readFile(this.report, 'utf8').catch(() => '');
    return /^\d{1,3}\n$/.test(text) ? Number(text) : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#path, { recursive: true, force: true });
  }
}

async function writeSecret(directory: string, { target, value }: SecretFile, owner: Owner): Promise<void> {
  const names = posix
    .normalize(target)
    .split('/')
    .filter((name) => name !== '');
  const file = join(directory, ...names);
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
