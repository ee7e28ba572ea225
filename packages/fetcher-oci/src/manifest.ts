import { createHash } from 'node:crypto';
import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';
import { choosePlatform } from './platform.ts';
import { isDigest } from './reference.ts';

/** Points at a blob: https://github.com/opencontainers/image-spec/blob/main/descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  /** `os/architecture` or `os/architecture/variant`; empty where it is not said. */
  readonly platform: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export type Manifest =
  | { readonly kind: 'index'; readonly manifests: readonly Descriptor[] }
  | { readonly kind: 'image'; readonly config: Descriptor; readonly layers: readonly Descriptor[] };

/** Reads an image index (Docker: manifest list) or an image manifest, of OCI or Docker. */
export function parseManifest(text: string): Result<Manifest, Failed> {
  const json = parseJson(text);
  if (Array.isArray(json.manifests)) {
    const manifests = json.manifests.map(toDescriptor);
    return manifests.every(isDescriptor) ? ok({ kind: 'index', manifests }) : err(malformed());
  }
  const config = toDescriptor(json.config);
  const layers = Array.isArray(json.layers) ? json.layers.map(toDescriptor) : [undefined];
  if (config && layers.every(isDescriptor)) return ok({ kind: 'image', config, layers });
  if (json.schemaVersion === 1)
    return err(failed('the manifest has the old schema 1, which is not supported'));
  return err(malformed());
}

/** The one of an index for the platform. The failure lists what there is. */
export function chooseManifest(
  manifests: readonly Descriptor[],
  platform: string,
): Result<Descriptor, Failed> {
  const chosen =
    manifests[
      choosePlatform(
        platform,
        manifests.map((each) => each.platform),
      )
    ];
  if (chosen) return ok(chosen);
  const offered = manifests.map((each) => each.platform).filter((name) => !/^(unknown\/.*)?$/.test(name));
  return err(failed(`it is not made for ${platform}, only for ${offered.join(', ') || 'no named platform'}`));
}

export function sha256(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** The fields of a JSON object; none if `text` is not one. */
export function parseJson(text: string): Readonly<Record<string, unknown>> {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return {};
  }
}

export function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function toDescriptor(value: unknown): Descriptor | undefined {
  const { mediaType, digest, size, platform, annotations } = asObject(value);
  if (typeof digest !== 'string' || !isDigest(digest)) return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  const texts = Object.entries(asObject(annotations)).filter((entry): entry is [string, string] => {
    return typeof entry[1] === 'string';
  });
  return {
    mediaType: typeof mediaType === 'string' ? mediaType : '',
    digest,
    size,
    platform: platformName(asObject(platform)),
    annotations: Object.fromEntries(texts),
  };
}

function platformName({ os, architecture, variant }: Readonly<Record<string, unknown>>): string {
  if (typeof os !== 'string' || typeof architecture !== 'string') return '';
  return [os, architecture, ...(typeof variant === 'string' && variant !== '' ? [variant] : [])].join('/');
}

function isDescriptor(value: Descriptor | undefined): value is Descriptor {
  return value !== undefined;
}

function malformed(): Failed {
  return failed('the manifest is neither an image nor an index of images with SHA-256 digests');
}
