/** Opens a sandbox and runs a step in it until it is killed: `node owner.ts STATE_DIR ROOTFS RUNTIME SCRIPT`. */
import { toHostPath } from '@snapstep/core/backend';
import { expectOk } from '@snapstep/test-support';
import { openRuncSandbox } from '../src/index.ts';
import { requestFor } from './steps.ts';

const [stateDir = '', rootfs = '', runtime = '', script = ''] = process.argv.slice(2);
const sandbox = expectOk(await openRuncSandbox({ stateDir: toHostPath(stateDir), runtime }));
await sandbox.run(
  requestFor(rootfs, script, {
    secrets: [{ target: '/secret', value: Buffer.from('swordfish') }],
    output: { write: async (chunk) => void process.stdout.write(chunk) },
  }),
  {},
);
