import {
  type Cancelled,
  type CommandFailed,
  type FetchError,
  failed,
  type ImageRef,
} from '@snapstep/core/backend';
import { authFiles } from './auth-file.ts';
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

/** Whether a registry has said what it thinks of the request, and not only failed to answer. */
export function isAnswer(error: FetchError): boolean {
  if (error.type === 'image-not-found') return true;
  const { cause } = error.type === 'failed' ? error : {};
  const said = isCommandFailed(cause) ? skopeoReason(cause) : '';
  return (DENIED.test(said) || UNAUTHORIZED.test(said)) && !TOO_MANY.test(said);
}

function isCommandFailed(cause: unknown): cause is CommandFailed {
  return typeof cause === 'object' && cause !== null && 'stderr' in cause && 'message' in cause;
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

const DENIED: RegExp = /access to the resource is denied|denied:/i;
const UNAUTHORIZED: RegExp = /unauthorized|authentication required|invalid username\/password|status:? 401/i;
const TOO_MANY: RegExp = /toomanyrequests|too many requests/i;

const ADVICE: readonly (readonly [RegExp, (context: FailureContext) => string])[] = [
  [/HTTP response to HTTPS client/, plainHttp],
  [/x509|certificate|tls:/i, unknownCertificate],
  [DENIED, denied],
  [UNAUTHORIZED, unauthorized],
  [TOO_MANY, ({ access }) => `the registry limits pulls; log in for more (${authFile(access)})`],
  [
    /digest did not match|unexpected size|blob size mismatch/i,
    () => 'the registry sent other bytes than it promised',
  ],
  [
    /no such host|connection refused|timeout|unreachable|no route to host|connection reset|server closed|\bEOF\b/i,
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

/** Where `skopeo login` and `docker login` write. */
function authFile({ authFile: chosen }: RegistryAccess): string {
  return authFiles(chosen).slice(0, 2).join(' or ');
}
