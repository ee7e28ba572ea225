/** Opens a sandbox and uses it until it is killed: `node suite-owner.ts STATE_DIR RUNTIME DIRECTORY`. */
import { toHostPath } from '@snapstep/core/backend';
import { occupy } from '@snapstep/core/conformance';
import { expectOk } from '@snapstep/test-support';
import { openRuncSandbox } from '../src/index.ts';
import { volumesIn, world } from './suite-place.ts';

const [stateDir = '', runtime = '', directory = ''] = process.argv.slice(2);
const sandbox = expectOk(await openRuncSandbox({ stateDir: toHostPath(stateDir), runtime }));
await occupy(sandbox, { ...volumesIn(directory), world });
