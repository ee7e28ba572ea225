// Opens the store named by the argument and uses it until it is killed.
import { toHostPath } from '@snapstep/core/backend';
import { churn } from '@snapstep/core/conformance';
import { openOverlayfsStore } from '../../src/index.ts';

const store = await openOverlayfsStore({ path: toHostPath(process.argv[2] ?? '') });
if (store.isErr()) throw new Error(JSON.stringify(store.error));
await churn(store.value);
