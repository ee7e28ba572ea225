import { once } from 'node:events';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { keepsEqual } from '../promise.ts';
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
    keepsEqual("a command with network `host` has the host's", await reach('127.0.0.1', 'host'), 'reached');
    for (const host of addresses()) {
      keepsEqual(`a command with network \`none\` does not reach ${host}`, await reach(host, 'none'), '');
    }
    keepsEqual('a command with network `none` reaches nobody (connections seen)', server.connections(), 1);
  });
  const { loopback } = tools;
  if (loopback === undefined) return;
  test('reaches itself on 127.0.0.1 without a network', async (scene) => {
    keepsEqual('loopback works without a network', await outputOf(scene, loopback, 'none'), 'hello\n');
  });
}

function outputOf(scene: SandboxScene, script: string, network: 'none' | 'host'): Promise<string> {
  return scene.outputOf(script, { network });
}

function addresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return [
    '127.0.0.1',
    ...all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address),
  ];
}

async function greeter(): Promise<AsyncDisposable & { readonly port: number; connections(): number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => {});
    socket.end('reached');
  }).listen(0, '0.0.0.0');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    connections: () => connections,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
