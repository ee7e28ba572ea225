import type { MacosUser } from '../../../macos-user.ts';
import { type Check, type Finding, fine, notApplicable, problem } from '../../check.ts';
import type { Scene } from '../../scene.ts';

const FIELDS = ['UniqueID', 'PrimaryGroupID', 'NFSHomeDirectory', 'AuthenticationAuthority'];

/** Base images are owned by numbers: a user that has others cannot read its own home directory. */
export const users: Check = {
  name: 'macos-users',
  async look(scene) {
    if (scene.sandbox !== 'macos') return notApplicable(`steps run in the ${scene.sandbox} sandbox`);
    if (scene.users.length === 0) {
      return problem(
        'no user is named that steps run as',
        'give --macos-user NAME:UID:GID, or set SNAPSTEP_MACOS_USER',
      );
    }
    for (const user of scene.users) {
      const wrong = await whatIsWrong(user, scene);
      if (wrong !== undefined) return wrong;
    }
    return fine(scene.users.map(({ name, uid, gid }) => `${name} (${uid}:${gid})`).join(', '));
  },
};

async function whatIsWrong(user: MacosUser, { ask }: Scene): Promise<Finding | undefined> {
  const { name, uid } = user;
  const another = 'give --macos-user a name and a number that nobody has: the user is made';
  if (uid <= 500) return problem(`the number ${uid} of ${name} may be one of macOS itself`, another);
  const answer = await ask('dscl', ['.', '-read', `/Users/${name}`, ...FIELDS]);
  if (answer === undefined) return problem('there is no "dscl": this is no Mac', 'use --sandbox runc');
  const others = othersWith(user, (await ask('dscl', searchFor(uid)))?.stdout ?? '');
  if (others.length > 0) {
    return problem(`${others.join(' and ')} has the number ${uid}, which is to be that of ${name}`, another);
  }
  // A user that is not there yet is made when a builder is opened.
  const record = parseRecord(answer.stdout);
  if (record.has('AuthenticationAuthority')) {
    return problem(`the user ${name} has a password: all that runs as a person would be ended`, another);
  }
  const wrong = record.has('UniqueID') ? differences(user, record) : [];
  if (wrong.length === 0) return undefined;
  return problem(
    `the user ${name} has ${wrong.join(' and ')}, and not what --macos-user says`,
    `say what it has; or, if no base image was made for it, sudo dscl . -delete /Users/${name}: it is made anew`,
  );
}

function searchFor(uid: number): readonly string[] {
  return ['.', '-search', '/Users', 'UniqueID', `${uid}`];
}

/** `dscl . -search` prints `NAME\t\tUniqueID = (`, then the value, then a line with a parenthesis. */
function othersWith({ name }: MacosUser, text: string): readonly string[] {
  const names = [...text.matchAll(/^(\S+)\s+UniqueID = \(/gm)].map(([, other]) => other ?? '');
  return names.filter((other) => other !== name);
}

function differences({ name, uid, gid }: MacosUser, record: ReadonlyMap<string, string>): string[] {
  const wanted = { UniqueID: `${uid}`, PrimaryGroupID: `${gid}`, NFSHomeDirectory: `/Users/${name}` };
  return Object.entries(wanted).flatMap(([field, value]) => {
    const is = record.get(field);
    return is === value ? [] : [`${field} ${is}`];
  });
}

/** `dscl . -read` prints `UniqueID: 501`; a value with blanks may be on the next line, after one blank. Exported for tests. */
export function parseRecord(text: string): ReadonlyMap<string, string> {
  const fields = text.matchAll(/^(?:dsAttrTypeNative:)?(\w+):\s*(.*)$/gm);
  return new Map([...fields].map(([, name = '', value = '']) => [name, value.trim()]));
}
