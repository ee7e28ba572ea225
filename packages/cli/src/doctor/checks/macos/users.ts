import type { MacosUser } from '../../../macos-user.ts';
import { type Check, fine, notApplicable, problem } from '../../check.ts';

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
      const answer = await scene.ask('dscl', [
        '.',
        '-read',
        `/Users/${user.name}`,
        'UniqueID',
        'PrimaryGroupID',
        'NFSHomeDirectory',
      ]);
      if (answer === undefined) return problem('there is no "dscl": this is no Mac', 'use --sandbox runc');
      // A user that is not there yet is made when a builder is opened.
      const wrong = answer.exitCode === 0 ? differences(user, parseRecord(answer.stdout)) : [];
      if (wrong.length > 0) {
        const found = `the user ${user.name} has ${wrong.join(' and ')}`;
        return problem(
          `${found}, and not what --macos-user says`,
          `sudo dscl . -delete /Users/${user.name}; it is made anew`,
        );
      }
    }
    return fine(scene.users.map(({ name, uid, gid }) => `${name} (${uid}:${gid})`).join(', '));
  },
};

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
