import { isAbsolute, resolve } from 'node:path';
import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';

/** Where an image comes from. Paths are absolute. */
export type Reference =
  | RegistryReference
  | { readonly kind: 'oci'; readonly path: string; readonly tag?: string }
  | ArchiveReference
  | { readonly kind: 'rootfs'; readonly path: string };

export interface RegistryReference {
  readonly kind: 'docker';
  /** Host and, where it is not 443, port; `docker.io` is Docker Hub. */
  readonly registry: string;
  readonly repository: string;
  /** A tag, or `sha256:` and 64 hex digits. Where a reference has both, the digest decides. */
  readonly version: string;
}

export interface ArchiveReference {
  readonly kind: 'oci-archive' | 'docker-archive';
  readonly path: string;
  /** For a `docker-archive` the name in full, such as `debian:12`. */
  readonly tag?: string;
}

const FORMS =
  'Accepted are: NAME[:TAG] on Docker Hub, HOST[:PORT]/NAME[:TAG], docker://HOST[:PORT]/NAME[:TAG|@sha256:DIGEST], ' +
  'oci:PATH[:TAG], oci-archive:PATH[:TAG], docker-archive:PATH[:NAME:TAG] and rootfs:PATH (a directory or a tarball)';

/** Reads a reference. The failure lists the accepted forms, and never shows a password. */
export function parseReference(text: string): Result<Reference, Failed> {
  const [, kind, rest = ''] = /^(oci|oci-archive|docker-archive|rootfs):(.*)$/s.exec(text) ?? [];
  const parsed =
    kind === undefined
      ? parseRegistry(text.replace(/^docker:\/\//, ''))
      : parseLocal(kind as LocalKind, rest);
  if (typeof parsed !== 'string') return ok(parsed);
  return err(failed(`"${withoutUserinfo(text)}" is not an image reference: ${parsed}. ${FORMS}`));
}

/** Whether a text is a reference, as `OciFetcherOptions.images` gives one to a name. The failure says what is wrong. */
export function checkReference(text: string): Result<void, Failed> {
  return parseReference(text).map(() => undefined);
}

/** Whether a text is a host, or host:port, as references have it. */
export function isRegistryHost(text: string): boolean {
  return HOST.test(text);
}

/** A registry reference as skopeo writes it. */
export function registryUrl(reference: RegistryReference): string {
  return `docker://${reference.registry}/${reference.repository}${versionSuffix(reference.version)}`;
}

/** The text without the `user:password@` that a URL may have; what is logged or shown goes through here. */
export function withoutUserinfo(text: string): string {
  const [scheme = ''] = /^[a-z-]+:\/\//.exec(text) ?? [];
  const last = text.lastIndexOf('@');
  const end = text.startsWith('@sha256:', last) ? last : text.length;
  const body = text.slice(scheme.length, end);
  return scheme + body.slice(body.lastIndexOf('@') + 1) + text.slice(end);
}

export function isDigest(text: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

type LocalKind = Exclude<Reference['kind'], 'docker'>;

function parseLocal(kind: LocalKind, rest: string): Reference | string {
  if (kind === 'rootfs') return rest === '' ? 'it has no path' : { kind, path: resolve(rest) };
  const colon = rest.indexOf(':');
  const path = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (path === '') return 'it has no path';
  if (tag === '') return 'it has a colon but no tag';
  if (!isAbsolute(path) && resolve(path).includes(':')) return 'a path with a colon cannot be named';
  return { kind, path: resolve(path), ...(tag === undefined ? {} : { tag }) };
}

const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const LABEL = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?';
const HOST: RegExp = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-f:]+\\])(?::[0-9]+)?$`, 'i');
const REPOSITORY: RegExp = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);

/** The grammar of https://pkg.go.dev/github.com/distribution/reference, with Docker Hub's short names. */
function parseRegistry(text: string): RegistryReference | string {
  const { name, tag, digest } = splitVersion(text);
  if (text.includes('://')) return 'this kind of URL is not known';
  if (digest !== undefined && !isDigest(digest)) {
    return 'after "@" comes sha256: and 64 hex digits; credentials belong in an auth file ("skopeo login")';
  }
  const { registry, repository } = splitRegistry(name);
  if (!HOST.test(registry)) return `"${registry}" is not a host`;
  if (!REPOSITORY.test(repository) || repository.length > 255) {
    return `"${repository}" is not a name (small letters, digits, ".", "_", "-" and "/")`;
  }
  return { kind: 'docker', registry, repository, version: digest ?? tag };
}

function splitVersion(text: string): { name: string; tag: string; digest: string | undefined } {
  const at = text.indexOf('@');
  const tagged = at < 0 ? text : text.slice(0, at);
  const colon = tagged.lastIndexOf(':');
  const tag = colon < 0 ? undefined : /^\w[\w.-]{0,127}$/.exec(tagged.slice(colon + 1))?.[0];
  return {
    name: tag === undefined ? tagged : tagged.slice(0, colon),
    tag: tag ?? 'latest',
    digest: at < 0 ? undefined : text.slice(at + 1),
  };
}

/** A first component with a dot or a colon, or `localhost`, is a host; all else is on Docker Hub. */
function splitRegistry(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isHost = /[.:]/.test(first) || first === 'localhost';
  const registry = isHost && !/^(?:index\.)?docker\.io$/.test(first) ? first : 'docker.io';
  const repository = isHost ? name.slice(slash + 1) : name;
  const isOfficial = registry === 'docker.io' && !repository.includes('/');
  return { registry, repository: isOfficial ? `library/${repository}` : repository };
}

function versionSuffix(version: string): string {
  return isDigest(version) ? `@${version}` : `:${version}`;
}
