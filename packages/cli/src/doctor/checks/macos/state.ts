import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Check, fine, notApplicable, problem } from '../../check.ts';
import { existing } from '../../existing.ts';

/** Steps have their secrets in the state of the sandbox, so their users must reach it; home directories are closed to them. */
export const state: Check = {
  name: 'macos-state',
  look(scene) {
    if (scene.sandbox !== 'macos') return notApplicable(`steps run in the ${scene.sandbox} sandbox`);
    const directory = scene.state.sandbox;
    const closed = closedOn(existing(directory));
    if (closed === undefined) return fine(`the users of steps can reach ${directory}`);
    return problem(
      `the users of steps cannot pass through ${closed} to ${directory}`,
      'sudo mkdir -p /var/db/snapstep; export XDG_STATE_HOME=/var/db/snapstep',
    );
  },
};

/** The lowest directory at or above a path that others may not pass. */
function closedOn(path: string): string | undefined {
  if ((statSync(path).mode & 0o001) === 0) return path;
  return path === '/' ? undefined : closedOn(dirname(path));
}
