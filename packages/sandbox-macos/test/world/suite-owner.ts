/** Opens a sandbox and uses it until it is killed: `node suite-owner.ts DIRECTORY`. */
import { occupy } from '@snapstep/core/conformance';
import { placement } from './bind-store.ts';
import { openIn, volumesIn, world } from './suite-place.ts';

const [directory = ''] = process.argv.slice(2);
const sandbox = await openIn(directory);
await occupy(sandbox, { ...volumesIn(directory), world, features: { placement } });
