import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { err, type Failed, failed, type Owner, ok, type Result, resolveInside } from '@snapstep/core/backend';

/**
 * Who an image's `User` is: `uid`, `uid:gid`, `name`, `name:group` and mixtures, looked up in the image's own
 * `/etc/passwd` and `/etc/group`. Without a group it is the account's own, or 0 if there is no such account.
 */
export async function resolveUser(user: string, rootfs: string): Promise<Result<Owner, Failed>> {
  const colon = user.indexOf(':');
  const name = colon < 0 ? user : user.slice(0, colon);
  const group = colon < 0 ? '' : user.slice(colon + 1);
  const accounts = await readTable(rootfs, '/etc/passwd');
  const account =
    accounts.find((row) => row[0] === name) ?? accounts.find((row) => name !== '' && row[2] === name);
  const uid = toId(name === '' ? '0' : (account?.[2] ?? name));
  if (uid === undefined) return err(unknown('user', { name, file: '/etc/passwd' }));
  if (group === '') return ok({ uid, gid: toId(account?.[3] ?? '') ?? 0 });
  const groups = await readTable(rootfs, '/etc/group');
  const gid = toId(groups.find((row) => row[0] === group)?.[2] ?? group);
  return gid === undefined ? err(unknown('group', { name: group, file: '/etc/group' })) : ok({ uid, gid });
}

/** 2³²−1 means "no change" to the kernel, so it is nobody's number. */
function toId(text: string): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id <= 0xffff_fffe ? id : undefined;
}

const MAX_TABLE_BYTES: number = 4 * 1024 * 1024;

/** The rows of a table in the image; none if the file is missing, is no file, or is absurdly big. */
async function readTable(rootfs: string, path: string): Promise<readonly (readonly string[])[]> {
  const place = await resolveInside(rootfs, path, { followLast: true });
  if (place.isErr() || place.value.missing.length > 0) return [];
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
  const opened = await open(place.value.existing, flags).catch(() => undefined);
  if (opened === undefined) return [];
  await using file = opened;
  const stat = await file.stat();
  if (!stat.isFile() || stat.size > MAX_TABLE_BYTES) return [];
  const text = await file.readFile('utf8');
  return text.split('\n').map((line) => line.split(':'));
}

function unknown(what: string, { name, file }: { name: string; file: string }): Failed {
  return failed(`the image wants to run as ${what} "${name}", which its ${file} does not have`);
}
