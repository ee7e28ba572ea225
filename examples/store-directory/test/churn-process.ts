// Opens the store named by the argument and uses it until it is killed.
import { orThrow, toHostPath } from '@snapstep/core/backend';
import { churn } from '@snapstep/core/conformance';
import { openDirectoryStore } from '../src/directory-store.ts';

await churn(orThrow(await openDirectoryStore(toHostPath(process.argv[2] ?? ''))));
