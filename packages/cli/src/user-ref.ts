import type { UserRef } from '@snapstep/core';
import { InvalidArgumentError } from 'commander';

/**
 * `UID:GID`, or a name.
 *
 * @throws InvalidArgumentError, as commander expects of a parser of options.
 */
export function parseUser(text: string): UserRef {
  const [, uid, gid] = /^(\d{1,9}):(\d{1,9})$/.exec(text) ?? [];
  if (uid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  if (/^[A-Za-z_][\w.-]*$/.test(text)) return { name: text };
  throw new InvalidArgumentError('It should be a name, or UID:GID.');
}
