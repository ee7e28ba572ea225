import { findLogin, type Login } from './auth-file.ts';
import { parseJson } from './manifest.ts';
import { isDigest, type RegistryReference } from './reference.ts';
import { isReachedBySkopeoOnly } from './registry-config.ts';
import { type Answer, type Connection, openConnection, type RegistryRequest } from './registry-request.ts';
import { tlsOptions } from './registry-tls.ts';
import type { RegistryAccess } from './skopeo.ts';

export type Head =
  | { readonly type: 'digest'; readonly digest: string }
  /** Nobody is there, or they have no time for us: asking again at once would be of no use. */
  | { readonly type: 'silent'; readonly why: string }
  /** Something that is not understood here. */
  | { readonly type: 'unsure' };

export interface HeadOptions {
  readonly access: RegistryAccess;
  readonly signal: AbortSignal;
}

/**
 * Asks for the digest of what a tag means now, with `HEAD`: skopeo can only `GET` the manifest, which Docker Hub counts
 * as a pull. It is a short cut for the usual cases. Whatever is unusual is `unsure`, and skopeo's to find out.
 */
export async function headManifest(
  reference: RegistryReference,
  { access, signal }: HeadOptions,
): Promise<Head> {
  if (await isReachedBySkopeoOnly(reference.registry)) return { type: 'unsure' };
  const login = await findLogin(reference, access.authFile);
  if (login.type === 'other') return { type: 'unsure' };
  try {
    using connection = openConnection(await tlsOptions(reference.registry, access));
    return readHead(await ask({ reference, access, login, signal, connection }));
  } catch (error) {
    if (signal.aborted) return { type: 'silent', why: 'it did not answer in time' };
    return isUnreachable(error) ? { type: 'silent', why: error.message } : { type: 'unsure' };
  }
}

interface Asking extends HeadOptions {
  readonly reference: RegistryReference;
  readonly login: Login;
  readonly connection: Connection;
}

/** A registry that may be insecure is tried over TLS first, as skopeo does. */
async function ask(asking: Asking): Promise<Answer> {
  if (asking.access.tlsVerify) return askAt('https:', asking);
  try {
    return await askAt('https:', asking);
  } catch {
    asking.signal.throwIfAborted();
    return askAt('http:', asking);
  }
}

/** What skopeo asks for: the digest is of the format that is sent. */
const FORMATS: string = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.index.v1+json',
].join(', ');

async function askAt(protocol: 'http:' | 'https:', asking: Asking): Promise<Answer> {
  const { reference, connection, signal } = asking;
  const host = reference.registry === 'docker.io' ? 'registry-1.docker.io' : reference.registry;
  const url = new URL(`${protocol}//${host}/v2/${reference.repository}/manifests/${reference.version}`);
  const head = (headers: RegistryRequest['headers']): Promise<Answer> =>
    connection.request(url, { method: 'HEAD', headers: { accept: FORMATS, ...headers }, signal });
  const first = await head({});
  if (first.status !== 401) return first;
  const authorization = await authorize(first, { ...asking, protocol });
  return authorization === undefined ? first : head({ authorization });
}

/** What to say after a first refusal: https://distribution.github.io/distribution/spec/auth/token/ */
async function authorize(
  { headers }: Answer,
  { login, connection, signal, protocol }: Asking & { readonly protocol: string },
): Promise<string | undefined> {
  const basic = login.type === 'password' ? `Basic ${login.basic}` : undefined;
  const [, scheme = '', rest = ''] = /^(\w+)\s*(.*)$/.exec(headers['www-authenticate'] ?? '') ?? [];
  if (scheme.toLowerCase() === 'basic') return basic;
  const url = scheme.toLowerCase() === 'bearer' ? tokenUrl(rest) : undefined;
  // A password that is for TLS goes nowhere without it.
  if (url === undefined || (protocol === 'https:' && url.protocol !== protocol)) return undefined;
  const answer = await connection.request(url, {
    ...{ method: 'GET', signal },
    headers: basic === undefined ? {} : { authorization: basic },
  });
  const { token, access_token: other } = parseJson(answer.body);
  const found = token ?? other;
  return typeof found === 'string' && answer.status === 200 ? `Bearer ${found}` : undefined;
}

/** Of `realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull"`. */
function tokenUrl(challenge: string): URL | undefined {
  const fields = new Map(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
  );
  const url = URL.parse(fields.get('realm') ?? '');
  fields.delete('realm');
  for (const [name, value] of fields) url?.searchParams.set(name, value);
  return url ?? undefined;
}

function readHead({ status, headers }: Answer): Head {
  const digest = headers['docker-content-digest'];
  if (status === 200 && typeof digest === 'string' && isDigest(digest)) return { type: 'digest', digest };
  if (status === 429) return { type: 'silent', why: 'it limits how often it may be asked (429)' };
  return status >= 500 ? { type: 'silent', why: `it answers with ${status}` } : { type: 'unsure' };
}

/** Of https://nodejs.org/api/errors.html#common-system-errors those that say that nobody can be talked to. */
const UNREACHABLE: ReadonlySet<unknown> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT'],
  ...['EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN'],
]);

function isUnreachable(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && UNREACHABLE.has(error.code);
}
