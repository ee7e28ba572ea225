import { openBuilder, orThrow, toHostPath } from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openRsyncStore } from '@snapstep/store-rsync';
import { ciService } from './service.ts';

const HOUR = 3_600_000;

/** `node main.ts [DIRECTORY] [PORT]`: the service on this machine's loopback, until it is interrupted. */
const [directory = '/var/lib/snapstep-ci', port = '8080'] = process.argv.slice(2);
const dir = (name: string): ReturnType<typeof toHostPath> => toHostPath(`${directory}/${name}`);
await using sandbox = orThrow(await openRuncSandbox({ stateDir: dir('sandbox') }));
await using store = orThrow(await openRsyncStore({ path: dir('store') }));
await using fetcher = orThrow(await openOciFetcher({ stateDir: dir('images') }));
await using builder = orThrow(await openBuilder({ store, sandbox, fetcher, stateDir: dir('builder') }));

const prune = async (): Promise<void> => {
  const pruned = await builder.prune({ keepFreeBytes: 10e9, maxObjects: 20_000 });
  if (pruned.isErr()) console.error('cannot prune:', pruned.error);
};
const tidy = setInterval(() => {
  prune().catch(console.error);
}, HOUR);
const server = ciService(builder).listen(Number(port), '127.0.0.1');
console.log(`listening on http://127.0.0.1:${port}`);
const { promise: interrupted, resolve } = Promise.withResolvers<void>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
await interrupted;
clearInterval(tidy);
server.closeAllConnections();
server.close();
