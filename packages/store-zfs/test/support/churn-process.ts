// Opens the store named by the arguments and uses it until it is killed.
import { toHostPath } from '@snapstep/core/backend';
import { churn } from '@snapstep/core/conformance';
import { openZfsStore } from '../../src/index.ts';

const [dataset = '', directory = ''] = process.argv.slice(2);
const store = await openZfsStore({ dataset, directory: toHostPath(directory) });
if (store.isErr()) throw new Error(JSON.stringify(store.error));
await churn(store.value);
