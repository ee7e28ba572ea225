import * as http from 'node:http';
import * as https from 'node:https';
import type { TlsOptions } from './registry-tls.ts';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** One connection, or a few, to a registry and to who gives out its tokens. Disposing it closes them. */
export interface Connection extends Disposable {
  /** Follows no redirects. Rejects with what the system, TLS or the HTTP parser says, or with `AbortError`. */
  request(url: URL, request: RegistryRequest): Promise<Answer>;
}

/** An answer with a token is some kilobytes. */
const MAX_BODY: number = 1024 * 1024;

export function openConnection(tls: TlsOptions): Connection {
  const agents = {
    'http:': new http.Agent({ keepAlive: true }),
    'https:': new https.Agent({ keepAlive: true, ...tls }),
  };
  return {
    async request(url, { method, headers, signal }) {
      const { request } = url.protocol === 'https:' ? https : http;
      const agent = agents[url.protocol === 'https:' ? 'https:' : 'http:'];
      const sent = request(url, { method, headers: { ...headers, 'user-agent': 'snapstep' }, agent, signal });
      const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
        sent.on('response', resolve).on('error', reject).end();
      });
      return { status: response.statusCode ?? 0, headers: response.headers, body: await bodyOf(response) };
    },
    [Symbol.dispose]() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

async function bodyOf(response: http.IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > MAX_BODY) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
