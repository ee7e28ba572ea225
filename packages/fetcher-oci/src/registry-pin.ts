import { cancelled, err, type FetchError, failed, ok, type Result } from '@snapstep/core/backend';
import { chooseManifest, parseManifest, sha256 } from './manifest.ts';
import { headManifest } from './manifest-head.ts';
import type { Pin } from './pins.ts';
import { isDigest, type RegistryReference, registryUrl } from './reference.ts';
import { explainRegistryFailure, isAnswer } from './registry-failure.ts';
import { inspectRaw } from './skopeo.ts';
import { type Asking, imageNotFound, notHeld, type SourceContext } from './source.ts';

interface Lookup {
  readonly context: SourceContext;
  readonly asking: Asking;
}

type Known = Lookup & { readonly known: Pin };

/** The digest of what a reference means, as far as the policy allows to find out. */
export async function pinReference(
  reference: RegistryReference,
  lookup: Lookup,
): Promise<Result<string, FetchError>> {
  const { context, asking } = lookup;
  const key = pinKey(reference, context);
  const known = context.pins.get(key);
  // What a digest means never changes.
  if (known && (asking.pull === 'never' || isDigest(reference.version))) return ok(known.digest);
  if (asking.pull === 'never') return err(notHeld(context.image, `${key} was never pinned here`));
  const recent = context.recentPins.get(key);
  if (asking.pull === 'auto' && recent !== undefined) return ok(recent);
  const asked = await (known
    ? askAgain(reference, { ...lookup, known })
    : resolve(reference, { ...lookup, patience: FIRST_TIME }));
  if (asked.isErr()) return err(asked.error);
  if (asked.value === 'silent') return ok(known?.digest ?? '');
  await context.pins.set(key, asked.value);
  context.recentPins.set(key, asked.value.digest);
  return ok(asked.value.digest);
}

/** What a pin is remembered by: what was asked for, and for which platform. */
export function pinKey(reference: RegistryReference, { image }: SourceContext): string {
  return `${registryUrl(reference)} ${image.platform}`;
}

type Asked = Result<Pin | 'silent', FetchError>;

/** What was known once is no reason to fail where nobody answers, unless it was asked for with `always`. */
async function askAgain(reference: RegistryReference, lookup: Known): Promise<Asked> {
  const { context, asking, known } = lookup;
  const { registry } = reference;
  const why = asking.pull === 'auto' ? context.silence.get(registry) : undefined;
  if (why !== undefined) return useLast(reference, { ...lookup, why });
  const signal = AbortSignal.any([asking.signal, AbortSignal.timeout(context.answerMilliseconds)]);
  const head = await headManifest(reference, { access: context.access(registry), signal });
  if (asking.signal.aborted) return err(cancelled(asking.signal));
  if (head.type === 'digest' && head.digest === known.root) return ok(known);
  if (asking.pull === 'always') return resolve(reference, { ...lookup, patience: FIRST_TIME });
  if (head.type === 'silent') return useLast(reference, { ...lookup, why: head.why });
  return resolveInTime(reference, lookup);
}

async function resolveInTime(reference: RegistryReference, lookup: Known): Promise<Asked> {
  const resolved = await resolve(reference, { ...lookup, patience: NEXT_TIME });
  if (resolved.isOk() || isAnswer(resolved.error)) return resolved;
  return 'message' in resolved.error
    ? useLast(reference, { ...lookup, why: resolved.error.message })
    : err(resolved.error);
}

async function useLast(
  reference: RegistryReference,
  { context, asking, known, why }: Known & { readonly why: string },
): Promise<Asked> {
  context.silence.set(reference.registry, why);
  const when = context.pins.confirmedAt(pinKey(reference, context))?.toISOString();
  const last = `using ${known.digest}, which it was ${when === undefined ? 'last' : `at ${when}`}`;
  await asking.note(`"${context.image.name}": ${reference.registry} gives no answer (${why}); ${last}`);
  return ok('silent');
}

/** As many times the time for one answer may what skopeo finds out take: it has to start, asks thrice, and tries again. */
const [FIRST_TIME, NEXT_TIME] = [24, 3] as const;

/**
 * Follows indexes to the image for the platform, one process for each manifest. Whoever wrote an index may have named an
 * image that another registry has, and that may be saved here: what the registry itself does not have is not found.
 */
async function resolve(
  reference: RegistryReference,
  { context, asking, known, patience }: Lookup & { readonly known?: Pin; readonly patience: number },
): Promise<Result<Pin, FetchError>> {
  const { image } = context;
  const access = context.access(reference.registry);
  const milliseconds = patience * context.answerMilliseconds;
  const signal = AbortSignal.any([asking.signal, AbortSignal.timeout(milliseconds)]);
  let [asked, root] = [reference, ''];
  for (let depth = 0; depth < DEEPEST; depth += 1) {
    const url = registryUrl(asked);
    const raw = await inspectRaw(url, { ...access, signal });
    if (asking.signal.aborted) return err(cancelled(asking.signal));
    if (signal.aborted) return err(failed(`${url}: no answer within ${milliseconds / 1000} s`));
    if (raw.isErr()) return err(explainRegistryFailure(raw.error, { image, reference: asked, access }));
    const digest = checkedDigest(url, raw.value);
    if (digest.isErr()) return err(digest.error);
    root ||= digest.value;
    const manifest = parseManifest(raw.value);
    if (manifest.isErr()) return err(failed(`${url}: ${manifest.error.message}`));
    if (manifest.value.kind === 'image') return ok({ digest: digest.value, root });
    const chosen = chooseManifest(manifest.value.manifests, image.platform);
    if (chosen.isErr()) return err(imageNotFound(image, `${url}: ${chosen.error.message}`));
    // The registry had it before.
    if (chosen.value.digest === known?.digest) return ok({ digest: known.digest, root });
    asked = { ...reference, version: chosen.value.digest };
  }
  return err(failed(`${registryUrl(asked)}: its indexes are nested too deeply`));
}

/** How many manifests lead to an image, that of the image among them. */
const DEEPEST = 6;

function checkedDigest(url: string, manifest: string): Result<string, FetchError> {
  const digest = sha256(manifest);
  const asked = /@(.*)$/.exec(url)?.[1];
  if (asked === undefined || asked === digest) return ok(digest);
  return err(failed(`${url}: the registry sent a manifest with the digest ${digest}`));
}
