import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';
import { createUser, readUser, usersWithUid } from './dscl.ts';
import { homeOf, type MacosUser } from './macos-user.ts';

/** Every macOS has it. */
const SHELL = '/bin/bash';

/** Makes sure that the user exists, with these numbers and this home directory. */
export async function ensureUser(user: MacosUser): Promise<Result<void, Failed>> {
  const wanted = {
    UniqueID: `${user.uid}`,
    PrimaryGroupID: `${user.gid}`,
    NFSHomeDirectory: homeOf(user.name),
  };
  const found = await readUser(user.name, Object.keys(wanted));
  if (found.isErr()) return err(cannot(user, found.error));
  if (found.value === undefined) return makeUser(user, wanted);
  for (const [attribute, value] of Object.entries(wanted)) {
    const is = found.value.get(attribute);
    if (is !== value) {
      const message = `the user ${user.name} exists with ${attribute} ${is}, and not ${value}`;
      return err(failed(`${message}; a base image is made for one user with one number`));
    }
  }
  return ok();
}

async function makeUser(
  user: MacosUser,
  attributes: Readonly<Record<string, string>>,
): Promise<Result<void, Failed>> {
  const others = await usersWithUid(user.uid);
  if (others.isErr()) return err(cannot(user, others.error));
  if (others.value.length > 0) {
    return err(failed(`cannot make the user ${user.name}: ${others.value} has the number ${user.uid}`));
  }
  const all = { UserShell: SHELL, RealName: user.name, Password: '*', IsHidden: '1', ...attributes };
  for (const attribute of [[], ...Object.entries(all)] as const) {
    const made = await createUser(user.name, attribute);
    if (made.isErr()) return err(cannot(user, made.error));
  }
  return ok();
}

function cannot({ name }: MacosUser, error: { readonly type: string; readonly message?: string }): Failed {
  return failed(`cannot look for, or make, the user ${name}: ${error.message ?? error.type}`, error);
}
