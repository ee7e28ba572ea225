// Opens the example store named by the arguments, breaks it, and uses it until it is killed.
import { orThrow, toHostPath } from '@snapstep/core/backend';
import { churn } from '@snapstep/core/conformance';
import { openDirectoryStore } from '../../../examples/store-directory/src/directory-store.ts';
import { type Crashing, crashing } from './crash-stores.ts';

const [name = '', directory = ''] = process.argv.slice(2);
const path = toHostPath(directory);
const store = orThrow(await openDirectoryStore(path));
crashing[name as Crashing](store, path);
await churn(store);
