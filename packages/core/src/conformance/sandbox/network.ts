import { once } from 'node:events';
import { createServer, type ListenOptions, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { keeps, keepsEqual } from '../promise.ts';
import { sandboxPromises as promises } from './promises.ts';
import type { SandboxScene, SandboxTest } from './scene.ts';

export interface NetworkTools {
  /** A script that prints what a server sends, and ends soon where there is none. Default: with `nc`. */
  readonly connect?: (host: string, port: number) => string;
  /**
   * A script that prints `hello` after it reached a server of its own on 127.0.0.1. Give it where the sandbox
   * promises that this works without a network.
   */
  readonly loopback?: string;
}

/** With `none` there is nobody to talk to. */
export function networkTests(test: SandboxTest, tools: NetworkTools): void {
  const { connect = (host, port) => `nc -w 2 ${host} ${port} </dev/null` } = tools;
  test("reaches nobody without a network, and the host's servers with it", async (scene) => {
    await using server = await greeter();
    const reach = (host: string, network: 'none' | 'host') =>
      outputOf(scene, `${connect(host, server.port)} 2>/dev/null; true`, network);
    const reached: string[] = [];
    for (const host of addresses()) if ((await reach(host, 'host')) === 'reached') reached.push(host);
    keeps(promises.hostNetwork, reached.includes('127.0.0.1'), reached);
    const connections = server.connections();
    for (const host of reached) {
      keepsEqual(promises.noNetwork, { host, got: await reach(host, 'none') }, { host, got: '' });
    }
    keepsEqual(promises.noNetwork, { connections: server.connections() }, { connections });
  });
  test("sees no abstract sockets of the host without a network (where the host's kernel has them)", async (scene) => {
    if (process.platform !== 'linux') return;
    const name = `snapstep-suite-${Math.random()}`;
    await using _server = await listening(createServer(), { path: `\0${name}` });
    const script = `while read -r line; do case "$line" in *"${name}"*) echo found;; esac; done </proc/net/unix`;
    const seen = await outputOf(scene, `[ -r /proc/net/unix ] || exit 0; ${script}`, 'none');
    keepsEqual(promises.noNetwork, seen, '');
  });
  const { loopback } = tools;
  if (loopback === undefined) return;
  test('reaches itself on 127.0.0.1 without a network (R17)', async (scene) => {
    keepsEqual(promises.loopback, await outputOf(scene, loopback, 'none'), 'hello\n');
  });
}

function outputOf(scene: SandboxScene, script: string, network: 'none' | 'host'): Promise<string> {
  return scene.outputOf(script, { network });
}

/** Of this host, as a program on it may name them; those of one link need its name as well. */
function addresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return all.map(({ address }) => address).filter((address) => !address.startsWith('fe80:'));
}

async function greeter(): Promise<AsyncDisposable & { readonly port: number; connections(): number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => {});
    socket.end('reached');
  });
  const closing = await listening(server, { port: 0 });
  const address = server.address();
  return {
    ...closing,
    port: typeof address === 'object' && address ? address.port : 0,
    connections: () => connections,
  };
}

async function listening(server: Server, options: ListenOptions): Promise<AsyncDisposable> {
  server.listen(options);
  await once(server, 'listening');
  return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}
