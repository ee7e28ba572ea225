/** Opens a healthy sandbox and uses it until it is killed: `node owner.ts STATE_DIR DIRECTORY`. */
import { orThrow, toHostPath } from '@snapstep/core/backend';
import { occupy } from '@snapstep/core/conformance';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { volumesIn, world } from './healthy-place.ts';

const [stateDir = '', directory = ''] = process.argv.slice(2);
const sandbox = orThrow(await openRuncSandbox({ stateDir: toHostPath(stateDir), runtime: 'runc' }));
await occupy(sandbox, { ...volumesIn(directory), world });
