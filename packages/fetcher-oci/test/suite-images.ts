import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ImageConfig } from '@snapstep/core/backend';
import type { SuiteImage } from '@snapstep/core/conformance';
import { execa } from 'execa';

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** An OCI layout that images are put into. Equal images have equal digests: nothing in them says when they were made. */
export class LayoutWriter {
  readonly path: string;
  readonly #tags = new Map<string, Blob>();
  readonly #layers = new Map<string, Blob>();

  constructor(path: string) {
    this.path = path;
  }

  async put(tag: string, image: SuiteImage): Promise<void> {
    await mkdir(join(this.path, 'blobs/sha256'), { recursive: true });
    const tar = await archiveOf(image.files);
    const layer = await this.#blob('layer.v1.tar+gzip', gzipSync(tar, { level: 1 }));
    const config = await this.#blob('config.v1+json', configJson(image.config, digestOf(tar)));
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaType('manifest.v1+json'),
      config,
      layers: [layer],
    });
    this.#tags.set(tag, await this.#blob('manifest.v1+json', manifest));
    this.#layers.set(tag, layer);
    await this.#writeIndex();
  }

  /** Replaces the layer of an image by another of the same length. */
  async damage(tag: string): Promise<void> {
    const layer = this.#layers.get(tag);
    if (layer === undefined) throw new Error(`there is no image ${tag}`);
    const path = this.#pathOf(layer);
    await rm(path);
    await writeFile(path, Buffer.alloc(layer.size, 'x'));
  }

  async #writeIndex(): Promise<void> {
    const manifests = [...this.#tags].map(([tag, blob]) => ({
      ...blob,
      annotations: { 'org.opencontainers.image.ref.name': tag },
    }));
    await writeFile(join(this.path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    await writeFile(join(this.path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  }

  async #blob(type: string, content: string | Uint8Array): Promise<Blob> {
    const blob = { mediaType: mediaType(type), digest: digestOf(content), size: Buffer.byteLength(content) };
    await writeFile(this.#pathOf(blob), content);
    return blob;
  }

  #pathOf({ digest }: Blob): string {
    return join(this.path, 'blobs', digest.replace(':', '/'));
  }
}

async function archiveOf(directory: string): Promise<Uint8Array> {
  const flags = ['--format=gnu', '--sort=name', '--numeric-owner', '-C', directory, '-cf', '-', '.'];
  const { stdout } = await execa('tar', flags, { encoding: 'buffer', maxBuffer: 1e9 });
  return stdout;
}

function configJson(config: ImageConfig = { env: {} }, layer: string): string {
  const { env, user, cwd } = config;
  const said = {
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...(user && { User: `${user.uid}:${user.gid}` }),
    ...(cwd !== undefined && { WorkingDir: cwd }),
  };
  const rootfs = { type: 'layers', diff_ids: [layer] };
  return JSON.stringify({ os: 'linux', architecture: 'amd64', config: said, rootfs });
}

function mediaType(type: string): string {
  return `application/vnd.oci.image.${type}`;
}

function digestOf(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
