import { join } from 'node:path';
import { err, type FetchError, failed, ok, type Result } from '@snapstep/core/backend';
import { watchLayers } from './layer-progress.ts';
import { chooseManifest, parseManifest, sha256 } from './manifest.ts';
import { isDigest, type RegistryReference, registryUrl } from './reference.ts';
import { explainRegistryFailure } from './registry-failure.ts';
import { copyImage, inspectRaw } from './skopeo.ts';
import type { ImageSource, SourceContext } from './source.ts';
import { unpackLayout } from './unpack-layout.ts';

/** An image in a registry, spoken to by skopeo. */
export function registrySource(reference: RegistryReference, context: SourceContext): ImageSource {
  const access = context.access(reference.registry);
  const about = { image: context.image, reference, access };
  return {
    async pin(signal) {
      const known = knownPin(reference, context);
      if (known !== undefined) return ok(known);
      const digest = await resolveDigest(reference, { context, signal });
      if (digest.isOk()) rememberPin(reference, { context, digest: digest.value });
      return digest;
    },
    async unpack(target) {
      const { digest, log, signal } = target;
      const url = registryUrl({ ...reference, version: digest });
      const directory = await context.scratch.directory();
      if (directory.isErr()) return err(directory.error);
      await using scratch = directory.value;
      await log.write(`Pulling ${url}\n`);
      {
        await using _progress = await watchLayers(join(scratch.path, 'layout'), log);
        const copied = await copyImage({
          from: url,
          to: 'oci:layout:image',
          cwd: scratch.path,
          access,
          signal,
        });
        if (copied.isErr()) return err(explainRegistryFailure(copied.error, { ...about, digest }));
      }
      return await unpackLayout({ ...target, image: context.image, cwd: scratch.path, layout: 'layout' });
    },
  };
}

/** Follows indexes to the image for the platform: one process for an image, two for an index in an index. */
async function resolveDigest(
  reference: RegistryReference,
  { context, signal }: { readonly context: SourceContext; readonly signal: AbortSignal },
): Promise<Result<string, FetchError>> {
  const { image } = context;
  const access = context.access(reference.registry);
  let url = registryUrl(reference);
  for (let depth = 0; depth < 5; depth += 1) {
    const raw = await inspectRaw(url, { ...access, signal });
    if (raw.isErr()) return err(explainRegistryFailure(raw.error, { image, reference, access }));
    const manifest = parseManifest(raw.value);
    if (manifest.isErr()) return err(failed(`${url}: ${manifest.error.message}`));
    if (manifest.value.kind === 'image') return checkedDigest(url, raw.value);
    const chosen = chooseManifest(manifest.value.manifests, image.platform);
    if (chosen.isErr()) return err(failed(`${url}: ${chosen.error.message}`));
    if (!isIndexType(chosen.value.mediaType)) return ok(chosen.value.digest);
    url = registryUrl({ ...reference, version: chosen.value.digest });
  }
  return err(failed(`${url}: its indexes are nested too deeply`));
}

function checkedDigest(url: string, manifest: string): Result<string, FetchError> {
  const digest = sha256(manifest);
  const asked = /@(.*)$/.exec(url)?.[1];
  if (asked === undefined || asked === digest) return ok(digest);
  return err(failed(`${url}: the registry sent a manifest with the digest ${digest}`));
}

function isIndexType(mediaType: string): boolean {
  return /(image\.index|manifest\.list)\.v\d\+json$/.test(mediaType);
}

function knownPin(reference: RegistryReference, context: SourceContext): string | undefined {
  const key = pinKey(reference, context);
  if (isDigest(reference.version)) return context.state.pin(key);
  const recent = context.recentPins.get(key);
  return recent && recent.until > performance.now() ? recent.digest : undefined;
}

/** What a digest means never changes; a tag may be moved at any time. */
function rememberPin(
  reference: RegistryReference,
  { context, digest }: { readonly context: SourceContext; readonly digest: string },
): void {
  const key = pinKey(reference, context);
  const until = performance.now() + context.tagTtlMilliseconds;
  if (isDigest(reference.version)) context.state.rememberPin(key, digest);
  else context.recentPins.set(key, { digest, until });
}

function pinKey(reference: RegistryReference, { image }: SourceContext): string {
  return `${registryUrl(reference)} ${image.platform}`;
}
