import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What a registry may do in place of an answer. */
export type Behaviour =
  | 'answer'
  /** Closes each connection, as if nobody were there. */
  | 'refuse'
  /** Takes each request and never answers. */
  | 'hang'
  /** Sends what is no HTTP. */
  | 'babble'
  /** Is `200`, with a body and headers that make no sense. */
  | 'nonsense'
  /** Sends to itself for ever. */
  | 'redirect'
  /** Answers every request with that. */
  | number;

/** A proxy before a registry, on a port of 127.0.0.1, which counts what is asked. */
export interface CountingProxy extends AsyncDisposable {
  /** Host and port, as a reference names it. */
  readonly host: string;
  /** `GET /v2/x/manifests/1` and so on, since it was last taken. */
  takeRequests(): readonly string[];
  /** Does something else from now on, until it is disposed. */
  behave(how: Behaviour): AsyncDisposable;
  /** Settles when the next request comes. */
  readonly asked: Promise<unknown>;
}

export interface ProxyOptions {
  /** It wants a token, and gives one to who has this name and password, `user:password`. */
  readonly login?: string;
}

export async function startProxy(registry: string, { login }: ProxyOptions = {}): Promise<CountingProxy> {
  let [how, asked]: [Behaviour, string[]] = ['answer', []];
  const server = createServer((from, to) => {
    asked.push(`${from.method} ${from.url}`);
    const target = { host: registry, path: from.url ?? '/' };
    if (how !== 'answer') misbehave(to, how, target.path);
    else if (login === undefined || hasToken(from)) pass({ from, to, ...target });
    else demandToken(from, to, login);
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    if (how === 'refuse') socket.destroy();
    sockets.add(socket.on('close', () => sockets.delete(socket)).on('error', () => undefined));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    takeRequests() {
      const taken = asked;
      asked = [];
      return taken;
    },
    behave(next) {
      how = next;
      return {
        async [Symbol.asyncDispose]() {
          how = 'answer';
        },
      };
    },
    get asked() {
      return once(server, 'request');
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function pass(call: { from: IncomingMessage; to: ServerResponse; host: string; path: string }): void {
  const { from, to } = call;
  const [hostname, port] = call.host.split(':');
  const { method = 'GET', headers } = from;
  const sent = request({ hostname, port, method, path: call.path, headers, agent: false }, (answer) => {
    to.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(to);
  });
  sent.on('error', () => to.destroy());
  to.on('close', () => sent.destroy());
  from.pipe(sent);
}

const TOKEN = 'a-token';

function hasToken({ headers }: IncomingMessage): boolean {
  return headers.authorization === `Bearer ${TOKEN}`;
}

/** https://distribution.github.io/distribution/spec/auth/token/ */
function demandToken({ url = '', headers }: IncomingMessage, to: ServerResponse, login: string): void {
  const isKnown = headers.authorization === `Basic ${Buffer.from(login).toString('base64')}`;
  if (url.startsWith('/token?')) {
    to.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' });
    return void to.end(isKnown ? JSON.stringify({ token: TOKEN }) : '{}');
  }
  const realm = `http://${headers.host}/token`;
  const challenge = `Bearer realm="${realm}",service="registry",scope="repository:x:pull"`;
  to.writeHead(401, { 'www-authenticate': challenge, 'content-type': 'application/json' });
  to.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
}

function misbehave(to: ServerResponse, how: Exclude<Behaviour, 'answer'>, path: string): void {
  if (how === 'babble') return void to.socket?.end('\0\0\x15\x03\x03 not HTTP at all\r\n\r\n');
  if (how === 'nonsense') {
    to.writeHead(200, { 'docker-content-digest': 'sha256:none', 'content-type': 'text/html' });
    return void to.end('<html>{"manifests": 7}');
  }
  if (how === 'redirect') return void to.writeHead(307, { location: path }).end();
  if (typeof how === 'number') to.writeHead(how, { 'content-type': 'text/plain' }).end(`${how}`);
}
