/** Opens the store of a dataset and saves a snapshot: `node save-process.ts DATASET DIRECTORY PARENT NUMBER`. */
import { toHostPath } from '@snapstep/core/backend';
import { expectOk } from '@snapstep/test-support';
import { openZfsStore } from '../../../src/index.ts';
import { key, save } from './world.ts';

const [dataset = '', directory = '', parent = '', number = ''] = process.argv.slice(2);
const store = expectOk(await openZfsStore({ dataset, directory: toHostPath(directory) }));
await save(store, Number(number), { from: { snapshot: key(Number(parent)) } });
