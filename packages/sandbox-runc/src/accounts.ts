import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import {
  type Account,
  err,
  type Failed,
  failed,
  type Owner,
  ok,
  type Result,
  resolveInside,
} from '@snapstep/core/backend';

interface PasswdEntry extends Account {
  readonly name: string;
}

/** Larger files are no list of accounts. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * The account that a file system's `/etc/passwd` has for a name, or for a uid. Numbers always are an account:
 * where nobody has that uid, its home is `/`.
 */
export async function findAccount(
  rootfs: string,
  user: Owner | { readonly name: string },
): Promise<Result<Account | undefined, Failed>> {
  const passwd = await readPasswd(rootfs);
  if (passwd.isErr()) return err(passwd.error);
  if ('name' in user) {
    const entry = passwd.value.find(({ name }) => name === user.name);
    return ok(entry && { uid: entry.uid, gid: entry.gid, home: entry.home });
  }
  const home = passwd.value.find(({ uid }) => uid === user.uid)?.home ?? '/';
  return ok({ uid: user.uid, gid: user.gid, home });
}

/** The groups that `/etc/group` adds to a user whom `/etc/passwd` knows, as a login would. */
export async function supplementaryGroups(
  rootfs: string,
  user: Owner,
): Promise<Result<readonly number[], Failed>> {
  const passwd = await readPasswd(rootfs);
  if (passwd.isErr()) return err(passwd.error);
  const name = passwd.value.find(({ uid }) => uid === user.uid)?.name;
  if (name === undefined) return ok([]);
  const group = await readInside(rootfs, '/etc/group');
  if (group.isErr()) return err(group.error);
  const gids = rows(group.value)
    .filter(([, , gid, members]) => isNumber(gid) && (members ?? '').split(',').includes(name))
    .map(([, , gid]) => Number(gid));
  return ok([...new Set(gids)].filter((gid) => gid !== user.gid));
}

async function readPasswd(rootfs: string): Promise<Result<readonly PasswdEntry[], Failed>> {
  const text = await readInside(rootfs, '/etc/passwd');
  if (text.isErr()) return err(text.error);
  return ok(
    rows(text.value).flatMap(([name, , uid, gid, , home]) =>
      name && isNumber(uid) && isNumber(gid)
        ? [{ name, uid: Number(uid), gid: Number(gid), home: home || '/' }]
        : [],
    ),
  );
}

/** A file's text, or an empty one where there is none. What is not a plain file is refused: a FIFO would block. */
async function readInside(rootfs: string, path: string): Promise<Result<string, Failed>> {
  const inside = await resolveInside(rootfs, path, { followLast: true });
  if (inside.isErr()) return err(inside.error);
  if (inside.value.missing.length > 0) return ok('');
  // Looked at first: opening a device may do something, and a socket cannot be opened.
  const { existing } = inside.value;
  const stat = await lstat(existing);
  if (!stat.isFile() || stat.size > MAX_BYTES) return err(failed(`${path} of the image is not a plain file`));
  await using file = await open(existing, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  return ok(await file.readFile('utf8'));
}

function rows(text: string): string[][] {
  return text.split('\n').map((line) => line.split(':'));
}

function isNumber(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1;
}
