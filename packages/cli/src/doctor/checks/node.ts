import { manifest } from '../../manifest.ts';
import { type Check, fine, problem } from '../check.ts';
import { isAtLeast } from '../version.ts';

export const node: Check = {
  name: 'node',
  look() {
    const floor = manifest().engines.node.replace('>=', '');
    const version = process.versions.node;
    if (isAtLeast(version, floor)) return fine(`Node ${version}`);
    return problem(`Node ${version} is older than ${floor}`, `install Node ${floor} or later`);
  },
};
