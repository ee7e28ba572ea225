// Opens the store named by the arguments and uses it until it is killed.
import { toHostPath } from '@snapstep/core/backend';
import { churn } from '@snapstep/core/conformance';
import { openRsyncStore } from '../../src/index.ts';

const [path = '', options = '{}'] = process.argv.slice(2);
const store = await openRsyncStore({ path: toHostPath(path), ...JSON.parse(options) });
if (store.isErr()) throw new Error(JSON.stringify(store.error));
await churn(store.value);
