import { constants } from 'node:fs';
import { mkdir, open, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';
import { chooseManifest, type Descriptor, parseManifest, sha256 } from './manifest.ts';

/** Manifests and configs are read whole, so there is a bound; registries have one of 4 MiB for manifests. */
const MAX_JSON_BYTES: number = 32 * 1024 * 1024;

/** The top of an OCI layout: https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
export async function readIndex(layout: string): Promise<Result<readonly Descriptor[], Failed>> {
  const text = await readBounded(join(layout, 'index.json'));
  if (text.isErr()) return err(text.error);
  const index = parseManifest(text.value);
  if (index.isErr()) return err(index.error);
  return index.value.kind === 'index'
    ? ok(index.value.manifests)
    : err(failed('index.json has no manifests'));
}

/** The text of a JSON blob, checked against its digest. */
export async function readJsonBlob(layout: string, digest: string): Promise<Result<string, Failed>> {
  const text = await readBounded(join(layout, 'blobs', ...digest.split(':')));
  if (text.isErr()) return err(text.error);
  if (sha256(text.value) !== digest) return err(failed(`the blob ${digest} in ${layout} is damaged`));
  return text;
}

/** From a descriptor, through indexes where there are some, to the image for the platform. */
export async function findImage(
  start: Descriptor,
  { layout, platform }: { readonly layout: string; readonly platform: string },
): Promise<Result<Descriptor, Failed>> {
  let descriptor = start;
  for (let depth = 0; depth < 5; depth += 1) {
    const text = await readJsonBlob(layout, descriptor.digest);
    if (text.isErr()) return err(text.error);
    const manifest = parseManifest(text.value);
    if (manifest.isErr()) return err(manifest.error);
    if (manifest.value.kind === 'image') return ok(descriptor);
    const chosen = chooseManifest(manifest.value.manifests, platform);
    if (chosen.isErr()) return err(chosen.error);
    descriptor = chosen.value;
  }
  return err(failed('its indexes are nested too deeply'));
}

/** Makes a layout of one image, tagged `image`, that borrows the blobs of another layout. */
export async function borrowLayout(
  target: string,
  { from, image }: { readonly from: string; readonly image: Descriptor },
): Promise<void> {
  await mkdir(target);
  await symlink(join(from, 'blobs'), join(target, 'blobs'));
  await writeFile(join(target, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeIndex(target, image);
}

/** Makes an image, whose blobs are there, the only one of a layout, tagged `image`. */
export async function writeIndex(
  layout: string,
  { digest, size, mediaType }: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>,
): Promise<void> {
  const manifest = {
    mediaType: mediaType || 'application/vnd.oci.image.manifest.v1+json',
    ...{ digest, size },
    annotations: { 'org.opencontainers.image.ref.name': 'image' },
  };
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
}

async function readBounded(path: string): Promise<Result<string, Failed>> {
  // Without O_NONBLOCK a fifo in the place of a blob would hold us up for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: Error) => error);
  if (file instanceof Error) return err(failed(`cannot read ${path}: ${file.message}`, file));
  await using opened = file;
  const stat = await opened.stat();
  if (!stat.isFile()) return err(failed(`${path} is not a file`));
  if (stat.size > MAX_JSON_BYTES) return err(failed(`${path} is too big to be a manifest or a config`));
  return ok(await opened.readFile('utf8'));
}
