import { join } from 'node:path';
import {
  type CommandFailed,
  err,
  type FetchError,
  failed,
  type ImageConfig,
  type ImageRef,
  ok,
  type Result,
} from '@snapstep/core/backend';
import { type ImageManifest, type ImageParts, readImage, toImageConfig } from './image-config.ts';
import { checkImage } from './image-limits.ts';
import { choosePlatform } from './platform.ts';
import { skopeoReason } from './registry-failure.ts';
import { copyImage } from './skopeo.ts';
import type { UnpackTarget } from './source.ts';
import { umociReason, unpackRootfs } from './umoci.ts';

export interface LayoutTarget extends UnpackTarget {
  readonly image: ImageRef;
  /** The name of a layout in `cwd` that holds one image, tagged `image`. */
  readonly layout: string;
  readonly cwd: string;
}

/** Unpacks the one image of a layout, every blob of it verified. */
export async function unpackLayout(target: LayoutTarget): Promise<Result<ImageConfig, FetchError>> {
  const { image, cwd, rootfs, log, signal } = target;
  const parts = await readImage(join(cwd, target.layout));
  if (parts.isErr()) return err(failed(`${image.name}: ${parts.error.message}`));
  const { manifest } = parts.value;
  const checked = await checkImage(join(cwd, target.layout), { manifest, limits: target.budget.limits });
  if (checked.isErr()) return err(failed(`${image.name} cannot be unpacked: ${checked.error}`));
  await warnOfPlatform(parts.value, target);
  const layout = await readableLayout(manifest, target);
  if (layout.isErr()) return err(layout.error);
  const started = performance.now();
  const unpacked = await unpackRootfs({ layout: layout.value, tag: 'image', cwd, rootfs, signal });
  if (unpacked.isErr()) {
    if (unpacked.error.type === 'cancelled') return err(unpacked.error);
    return err(failed(`${image.name} cannot be unpacked: ${umociReason(unpacked.error)}`, unpacked.error));
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  await log.write(`Unpacked ${manifest.layers.length} layers in ${seconds} s\n`);
  const config = await toImageConfig(parts.value.config, rootfs);
  return config.mapErr((error) => failed(`${image.name}: ${error.message}`));
}

/** An image that is not part of an index may be for any machine, and its config may not even say so. */
async function warnOfPlatform({ platform }: ImageParts, { image, log }: LayoutTarget): Promise<void> {
  if (!platform.includes('/') || choosePlatform(image.platform, [platform]) === 0) return;
  await log.write(`Warning: the image says it is made for ${platform}, not for ${image.platform}\n`);
}

/** umoci 0.4 knows OCI's own media types, and no zstd: skopeo translates what is written otherwise. */
async function readableLayout(
  manifest: ImageManifest,
  { image, layout, cwd, log, signal }: LayoutTarget,
): Promise<Result<string, FetchError>> {
  if ([manifest.config, ...manifest.layers].every(({ mediaType }) => isReadable(mediaType)))
    return ok(layout);
  await log.write('Converting its layers to gzip\n');
  const [from, to] = [`oci:${layout}:image`, 'oci:converted:image'];
  const converted = await copyImage({ from, to, cwd, layers: 'gzip', signal });
  return converted.map(() => 'converted').mapErr((error) => conversionFailure(error, image));
}

function isReadable(mediaType: string): boolean {
  return /^application\/vnd\.oci\.image\.(config\.v1\+json|layer\.(nondistributable\.)?v1\.tar(\+gzip)?)$/.test(
    mediaType,
  );
}

function conversionFailure(
  error: CommandFailed | Exclude<FetchError, { type: 'failed' }>,
  image: ImageRef,
): FetchError {
  if (error.type !== 'failed') return error;
  return failed(`${image.name} cannot be converted: ${skopeoReason(error)}`, error);
}
