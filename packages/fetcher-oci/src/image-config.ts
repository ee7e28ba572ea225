import { err, type Failed, failed, type ImageConfig, ok, type Result } from '@snapstep/core/backend';
import { resolveUser } from './accounts.ts';
import { asObject, type Descriptor, type Manifest, parseJson, parseManifest } from './manifest.ts';
import { readIndex, readJsonBlob } from './oci-layout.ts';

export type ImageManifest = Extract<Manifest, { readonly kind: 'image' }>;

/** What a layout of one image holds: the manifest, and the JSON of the config. */
export interface ImageParts {
  readonly manifest: ImageManifest;
  readonly config: Readonly<Record<string, unknown>>;
  /** As the config says, in the form of `ImageRef`; empty if it does not. */
  readonly platform: string;
}

export async function readImage(layout: string): Promise<Result<ImageParts, Failed>> {
  const index = await readIndex(layout);
  if (index.isErr()) return err(index.error);
  const [image] = index.value;
  if (image === undefined) return err(failed(`${layout} has no image`));
  const manifest = await readManifest(layout, image);
  if (manifest.isErr()) return err(manifest.error);
  const config = await readJsonBlob(layout, manifest.value.config.digest);
  if (config.isErr()) return err(config.error);
  const json = parseJson(config.value);
  const { os, architecture, variant } = json;
  const platform = [os, architecture, variant]
    .filter((part) => typeof part === 'string' && part !== '')
    .join('/');
  return ok({ manifest: manifest.value, config: asObject(json.config), platform });
}

/**
 * What the config means for a step: https://github.com/opencontainers/image-spec/blob/main/config.md
 *
 * @param rootfs - The unpacked image, where the names of users are looked up.
 */
export async function toImageConfig(
  config: Readonly<Record<string, unknown>>,
  rootfs: string,
): Promise<Result<ImageConfig, Failed>> {
  const { User: user, WorkingDir: cwd, Env: list } = config;
  const env = parseEnv(Array.isArray(list) ? list : []);
  const place = typeof cwd === 'string' && cwd !== '' ? { cwd: cwd.startsWith('/') ? cwd : `/${cwd}` } : {};
  if (typeof user !== 'string' || user === '') return ok({ env, ...place });
  const owner = await resolveUser(user, rootfs);
  return owner.map((found) => ({ env, user: found, ...place }));
}

/** `NAME=value` each; of two with one name the later counts. */
function parseEnv(list: readonly unknown[]): Readonly<Record<string, string>> {
  const pairs = list
    .filter((entry): entry is string => typeof entry === 'string' && entry.indexOf('=') > 0)
    .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const);
  return Object.fromEntries(pairs);
}

async function readManifest(layout: string, image: Descriptor): Promise<Result<ImageManifest, Failed>> {
  const text = await readJsonBlob(layout, image.digest);
  if (text.isErr()) return err(text.error);
  const manifest = parseManifest(text.value);
  if (manifest.isErr()) return err(manifest.error);
  return manifest.value.kind === 'image'
    ? ok(manifest.value)
    : err(failed('an index where an image should be'));
}
