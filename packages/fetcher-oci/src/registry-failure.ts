import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  type Cancelled,
  type CommandFailed,
  type FetchError,
  failed,
  type ImageRef,
} from '@snapstep/core/backend';
import { type RegistryReference, registryUrl } from './reference.ts';
import type { RegistryAccess } from './skopeo.ts';
import { imageNotFound } from './source.ts';

export interface FailureContext {
  readonly image: ImageRef;
  readonly reference: RegistryReference;
  readonly access: RegistryAccess;
  /** What was to be fetched, where that is not what the reference says. */
  readonly digest?: string;
}

/** Says what went wrong with a registry and what to do about it. */
export function explainRegistryFailure(
  error: CommandFailed | Cancelled,
  context: FailureContext,
): FetchError {
  if (error.type === 'cancelled') return error;
  const said = skopeoReason(error);
  const url = registryUrl(context.reference);
  if (isMissing(said)) return imageNotFound(context.image, `${url}: ${missingAdvice(context)}: ${said}`);
  const advice = ADVICE.find(([pattern]) => pattern.test(said))?.[1](context);
  return failed(advice === undefined ? `${url}: ${said}` : `${url}: ${advice}: ${said}`, error);
}

/** The last message of skopeo, which is where it says why it gave up. */
export function skopeoReason(error: CommandFailed): string {
  const quoted = [...error.stderr.matchAll(/level=(?:fatal|error) msg=("(?:[^"\\]|\\.)*"|\S+)/g)].at(-1)?.[1];
  if (quoted === undefined) return error.message;
  if (!quoted.startsWith('"')) return quoted;
  return quoted
    .slice(1, -1)
    .replace(/\\(["\\])/g, '$1')
    .replaceAll('\\n', ' ');
}

/** The errors of https://github.com/distribution/distribution/blob/main/docs/content/spec/api.md#errors */
function isMissing(said: string): boolean {
  return /manifest unknown|name unknown|repository name not known|repository .* not found|status:? 404|StatusCode: 404/i.test(
    said,
  );
}

function missingAdvice({ digest, reference }: FailureContext): string {
  return digest === undefined || digest === reference.version
    ? `${reference.registry} has no such image`
    : `${reference.registry} no longer has ${digest}, which this was when it was pinned`;
}

const ADVICE: readonly (readonly [RegExp, (context: FailureContext) => string])[] = [
  [/HTTP response to HTTPS client/, plainHttp],
  [/x509|certificate|tls:/i, unknownCertificate],
  [/access to the resource is denied|denied:/i, denied],
  [/unauthorized|authentication required|invalid username\/password|status:? 401/i, unauthorized],
  [
    /toomanyrequests|too many requests/i,
    ({ access }) => `the registry limits pulls; log in for more (${authFile(access)})`,
  ],
  [
    /digest did not match|unexpected size|blob size mismatch/i,
    () => 'the registry sent other bytes than it promised',
  ],
  [
    /no such host|connection refused|timeout|unreachable|no route to host|connection reset|\bEOF\b/i,
    ({ reference }) => `cannot reach the registry ${reference.registry}`,
  ],
];

function plainHttp({ reference }: FailureContext): string {
  return `the registry speaks plain HTTP; if that is meant to be, list "${reference.registry}" as an insecure registry`;
}

function unknownCertificate({ reference, access }: FailureContext): string {
  const place = access.certDir ?? `/etc/containers/certs.d/${reference.registry}`;
  return `its certificate is not trusted; put that of its authority into ${place} as a .crt file`;
}

function denied({ reference, access }: FailureContext): string {
  return `it does not exist, or may not be read with the credentials for ${reference.registry} in ${authFile(access)}`;
}

function unauthorized({ reference, access }: FailureContext): string {
  return `${reference.registry} wants other credentials than those in ${authFile(access)} (see "skopeo login")`;
}

/** Where skopeo looks: https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md */
function authFile({ authFile: chosen }: RegistryAccess): string {
  if (chosen !== undefined) return chosen;
  if (process.env.REGISTRY_AUTH_FILE) return process.env.REGISTRY_AUTH_FILE;
  const runtime = process.env.XDG_RUNTIME_DIR ?? `/run/containers/${process.getuid?.() ?? 0}`;
  const file = process.env.XDG_RUNTIME_DIR
    ? join(runtime, 'containers/auth.json')
    : join(runtime, 'auth.json');
  return `${file} or ${join(homedir(), '.docker/config.json')}`;
}
