import { openBuilder, orThrow, toHostPath } from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openRsyncStore } from '@snapstep/store-rsync';
import { work } from './worker.ts';

/** `node main.ts [DIRECTORY] [CAPACITY]`: jobs come on standard input, answers go to standard output. */
const [directory = '/var/lib/snapstep-worker', capacity = '4'] = process.argv.slice(2);
const dir = (name: string): ReturnType<typeof toHostPath> => toHostPath(`${directory}/${name}`);
await using sandbox = orThrow(await openRuncSandbox({ stateDir: dir('sandbox') }));
await using store = orThrow(await openRsyncStore({ path: dir('store') }));
await using fetcher = orThrow(await openOciFetcher({ stateDir: dir('images') }));
await using builder = orThrow(await openBuilder({ store, sandbox, fetcher, stateDir: dir('builder') }));
await work(builder, { jobs: process.stdin, answers: process.stdout, capacity: Number(capacity) });
