import { type Check, fine, problem } from '../check.ts';

export const privileges: Check = {
  name: 'privileges',
  look() {
    const uid = process.getuid?.();
    if (uid === 0) return fine('this is root');
    return problem(`this is user ${uid}; mounts and sandboxes need root`, 'sudo snapstep doctor');
  },
};
