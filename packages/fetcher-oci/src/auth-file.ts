import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { asObject, parseJson } from './manifest.ts';
import type { RegistryReference } from './reference.ts';

/** What the auth files say about a registry: name and password, or nothing; or what only skopeo can make use of. */
export type Login =
  | { readonly type: 'password'; readonly basic: string }
  | { readonly type: 'anonymous' }
  | { readonly type: 'other' };

/**
 * The credentials for a repository, from the files that skopeo looks into, in its order.
 *
 * https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
 */
export async function findLogin(reference: RegistryReference, chosen: string | undefined): Promise<Login> {
  for (const path of authFiles(chosen)) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const login = loginIn(parseJson(text), reference);
    if (login.type !== 'anonymous') return login;
  }
  return { type: 'anonymous' };
}

/** Where credentials are looked for. The first two are where `skopeo login` and `docker login` write. */
export function authFiles(chosen: string | undefined): readonly string[] {
  const only = chosen ?? process.env.REGISTRY_AUTH_FILE;
  if (only) return [only];
  const { XDG_RUNTIME_DIR, XDG_CONFIG_HOME, DOCKER_CONFIG } = process.env;
  return [
    XDG_RUNTIME_DIR
      ? join(XDG_RUNTIME_DIR, 'containers/auth.json')
      : `/run/containers/${process.getuid?.() ?? 0}/auth.json`,
    join(DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json'),
    join(XDG_CONFIG_HOME || join(homedir(), '.config'), 'containers/auth.json'),
  ];
}

function loginIn(file: Readonly<Record<string, unknown>>, reference: RegistryReference): Login {
  const hasHelper = file.credsStore !== undefined || reference.registry in asObject(file.credHelpers);
  if (hasHelper) return { type: 'other' };
  const auths = Object.entries(asObject(file.auths));
  for (const name of namesOf(reference)) {
    const entry = auths.find(([key]) => withoutScheme(key) === name)?.[1];
    if (entry !== undefined) return loginOf(asObject(entry));
  }
  return { type: 'anonymous' };
}

function loginOf({ auth, identitytoken, username, password }: Readonly<Record<string, unknown>>): Login {
  if (typeof identitytoken === 'string' && identitytoken !== '') return { type: 'other' };
  if (typeof auth === 'string' && auth !== '') {
    // Some write zero bytes after the password.
    const plain = Buffer.from(auth, 'base64').toString().replace(/\0+$/, '');
    return { type: 'password', basic: Buffer.from(plain).toString('base64') };
  }
  if (typeof username !== 'string' || typeof password !== 'string') return { type: 'other' };
  return { type: 'password', basic: Buffer.from(`${username}:${password}`).toString('base64') };
}

/** From the most special to the registry as a whole. */
function namesOf({ registry, repository }: RegistryReference): readonly string[] {
  const parts = [registry, ...repository.split('/')];
  const names = parts.map((_, at) => parts.slice(0, parts.length - at).join('/'));
  return registry === 'docker.io' ? [...names, 'index.docker.io', 'registry-1.docker.io'] : names;
}

/** `docker login` writes `https://index.docker.io/v1/`. */
function withoutScheme(key: string): string {
  const [, host] = /^https?:\/\/([^/]+)/.exec(key) ?? [];
  return host ?? key;
}
