import { openBuilder, orThrow, toHostPath } from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openRsyncStore } from '@snapstep/store-rsync';
import { work } from './worker.ts';

/**
 * `node main.ts [DIRECTORY] [CAPACITY] [NAME=REFERENCE...]`: jobs come on standard input, answers go to standard output.
 * The last are images of this machine, such as `debian=oci-archive:/srv/debian.tar`.
 */
const [directory = '/var/lib/snapstep-worker', capacity = '4', ...names] = process.argv.slice(2);
const images = new Map(names.map((text) => [text.split('=')[0] ?? '', text.slice(text.indexOf('=') + 1)]));
const dir = (name: string): ReturnType<typeof toHostPath> => toHostPath(`${directory}/${name}`);
await using sandbox = orThrow(await openRuncSandbox({ stateDir: dir('sandbox') }));
await using store = orThrow(await openRsyncStore({ path: dir('store') }));
await using fetcher = orThrow(await openOciFetcher({ stateDir: dir('images'), images }));
await using builder = orThrow(await openBuilder({ store, sandbox, fetcher, stateDir: dir('builder') }));
await work(builder, { jobs: process.stdin, answers: process.stdout, capacity: Number(capacity) });
