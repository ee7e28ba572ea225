import { InvalidArgumentError } from 'commander';

/** A local user that exists on the Mac, by the numbers that files are given to. */
export interface MacosUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * One more `NAME:UID:GID`, or several with commas between them, as an environment variable has them.
 *
 * @throws InvalidArgumentError, as commander expects of a parser of options.
 */
export function parseMacosUsers(text: string, previous: readonly MacosUser[] = []): readonly MacosUser[] {
  const users = [...previous, ...text.split(',').map(parseUser)];
  const [twice] = users.filter(({ name, uid }, at) =>
    users.slice(0, at).some((other) => other.name === name || other.uid === uid),
  );
  if (twice) throw new InvalidArgumentError(`"${twice.name}" or its number ${twice.uid} was already given.`);
  return users;
}

function parseUser(text: string): MacosUser {
  const [, name, uid, gid] = /^([A-Za-z_][\w.-]*):(\d{1,9}):(\d{1,9})$/.exec(text) ?? [];
  if (name === undefined)
    throw new InvalidArgumentError('It should be NAME:UID:GID, such as mac1000:1000:20.');
  if (Number(uid) === 0) throw new InvalidArgumentError('A step may not run as root on a Mac.');
  return { name, uid: Number(uid), gid: Number(gid) };
}
