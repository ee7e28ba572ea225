import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, type Failed, ok, type Result } from '@snapstep/core/backend';
import { asObject, parseJson, sha256 } from './manifest.ts';
import { readIndex, readJsonBlob, writeIndex } from './oci-layout.ts';

/**
 * Sets right what a layout with one image says about its layers: skopeo 1.9 calls the plain layers that it takes
 * over from a `docker-archive` gzip. (Letting it compress them costs more than all the rest of a pull.)
 */
export async function relabelLayers(layout: string): Promise<Result<void, Failed>> {
  const index = await readIndex(layout);
  if (index.isErr()) return err(index.error);
  const text = await readJsonBlob(layout, index.value[0]?.digest ?? '');
  if (text.isErr()) return err(text.error);
  const manifest = parseJson(text.value);
  const layers = Array.isArray(manifest.layers) ? manifest.layers.map(asObject) : [];
  const relabelled = await Promise.all(layers.map((layer) => relabel(layout, layer)));
  const content = JSON.stringify({ ...manifest, layers: relabelled });
  const digest = sha256(content);
  await writeFile(blobPath(layout, digest), content);
  await writeIndex(layout, {
    mediaType: String(manifest.mediaType),
    digest,
    size: Buffer.byteLength(content),
  });
  return ok();
}

async function relabel(layout: string, layer: Readonly<Record<string, unknown>>): Promise<object> {
  const { mediaType, digest } = layer;
  if (typeof mediaType !== 'string' || !mediaType.endsWith('+gzip')) return layer;
  await using file = await open(blobPath(layout, String(digest)));
  const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
  // https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1
  const isGzip = buffer[0] === 0x1f && buffer[1] === 0x8b;
  return isGzip ? layer : { ...layer, mediaType: mediaType.slice(0, -'+gzip'.length) };
}

function blobPath(layout: string, digest: string): string {
  return join(layout, 'blobs', ...digest.split(':'));
}
