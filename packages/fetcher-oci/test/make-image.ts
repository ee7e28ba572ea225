import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

/** One member of a layer. Owner 0:0 and a plain mode unless it is said otherwise. */
export interface Member {
  readonly path: string;
  readonly type?: 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'fifo';
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly content?: string | Uint8Array;
  readonly link?: string;
  readonly device?: readonly [major: number, minor: number];
  readonly xattrs?: Readonly<Record<string, string>>;
}

export interface ImageSpec {
  readonly layers: readonly (readonly Member[])[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly platform?: string;
  readonly compression?: 'gzip' | 'zstd' | 'none';
}

export interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Writes an OCI layout with an image, or an index of several, under each tag. */
export async function makeLayout(
  dir: string,
  tags: Readonly<Record<string, ImageSpec | readonly ImageSpec[]>>,
): Promise<Readonly<Record<string, Blob>>> {
  await mkdir(join(dir, 'blobs/sha256'), { recursive: true });
  const tagged: [string, Blob][] = [];
  for (const [tag, what] of Object.entries(tags)) {
    tagged.push([tag, await (Array.isArray(what) ? putIndex(dir, what) : putImage(dir, what as ImageSpec))]);
  }
  const manifests = tagged.map(([tag, blob]) => {
    return { ...blob, annotations: { 'org.opencontainers.image.ref.name': tag } };
  });
  await writeFile(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  await writeFile(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return Object.fromEntries(tagged);
}

export async function readBlobJson(dir: string, digest: string): Promise<{ layers: Blob[]; config: Blob }> {
  return JSON.parse(await readFile(join(dir, 'blobs', digest.replace(':', '/')), 'utf8'));
}

/** A tar file. Extended attributes become PAX records, as GNU tar and umoci read them. */
export function makeTar(members: readonly Member[]): Buffer {
  return Buffer.concat([...members.flatMap(tarMember), Buffer.alloc(1024)]);
}

async function putIndex(dir: string, specs: readonly ImageSpec[]): Promise<Blob> {
  const manifests: object[] = [];
  for (const spec of specs) {
    const [os, architecture, variant] = (spec.platform ?? 'linux/amd64').split('/');
    manifests.push({ ...(await putImage(dir, spec)), platform: { os, architecture, variant } });
  }
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  return put(dir, { mediaType, content: JSON.stringify({ schemaVersion: 2, mediaType, manifests }) });
}

async function putImage(dir: string, spec: ImageSpec): Promise<Blob> {
  const tars = spec.layers.map(makeTar);
  const layers: Blob[] = [];
  for (const tar of tars) layers.push(await putLayer(dir, { tar, compression: spec.compression ?? 'gzip' }));
  const [os, architecture, variant] = (spec.platform ?? 'linux/amd64').split('/');
  const rootfs = { type: 'layers', diff_ids: tars.map(digestOf) };
  const config = await put(dir, {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    content: JSON.stringify({ os, architecture, variant, config: spec.config ?? {}, rootfs }),
  });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  return put(dir, { mediaType, content: JSON.stringify({ schemaVersion: 2, mediaType, config, layers }) });
}

async function putLayer(
  dir: string,
  { tar, compression }: { tar: Buffer; compression: 'gzip' | 'zstd' | 'none' },
): Promise<Blob> {
  const type = 'application/vnd.oci.image.layer.v1.tar';
  if (compression === 'none') return put(dir, { mediaType: type, content: tar });
  const content = compression === 'gzip' ? gzipSync(tar) : zstdCompressSync(tar);
  return put(dir, { mediaType: `${type}+${compression}`, content });
}

async function put(
  dir: string,
  { mediaType, content }: { mediaType: string; content: string | Uint8Array },
): Promise<Blob> {
  const digest = digestOf(content);
  await writeFile(join(dir, 'blobs', digest.replace(':', '/')), content);
  return { mediaType, digest, size: Buffer.byteLength(content) };
}

function digestOf(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

const TYPES = { file: '0', hardlink: '1', symlink: '2', char: '3', dir: '5', fifo: '6', pax: 'x' };

function tarMember(member: Member): Buffer[] {
  const records = Object.entries(member.xattrs ?? {}).map(([name, value]) =>
    paxRecord(`SCHILY.xattr.${name}`, value),
  );
  const pax = Buffer.concat(records);
  const plain = tarEntry({ ...member, type: member.type ?? 'file' }, Buffer.from(member.content ?? ''));
  return pax.length === 0 ? plain : [...tarEntry({ path: 'pax', type: 'pax' }, pax), ...plain];
}

function tarEntry(member: Omit<Member, 'type'> & { type: keyof typeof TYPES }, content: Buffer): Buffer[] {
  const header = Buffer.alloc(512);
  const octal = (value: number, size: number) => `${value.toString(8).padStart(size - 1, '0')}\0`;
  header.write(member.path, 0);
  header.write(octal(member.mode ?? (member.type === 'dir' ? 0o755 : 0o644), 8), 100);
  header.write(octal(member.uid ?? 0, 8), 108);
  header.write(octal(member.gid ?? 0, 8), 116);
  header.write(octal(content.length, 12), 124);
  header.write(octal(1_600_000_000, 12), 136);
  header.write(`        ${TYPES[member.type]}`, 148);
  header.write(member.link ?? '', 157);
  header.write('ustar\x0000', 257);
  header.write(octal(member.device?.[0] ?? 0, 8), 329);
  header.write(octal(member.device?.[1] ?? 0, 8), 337);
  header.write(
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      7,
    )} `,
    148,
  );
  return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const body = ` ${key}=${value}\n`;
  let length = body.length + 1;
  while (`${length}${body}`.length !== length) length += 1;
  return Buffer.from(`${length}${body}`, 'latin1');
}

/** A small image of two layers. */
export const HELLO: ImageSpec = {
  layers: [[{ path: 'hello', content: 'hello' }], [{ path: 'world', content: 'world', uid: 70000 }]],
  config: { Env: ['A=1'], WorkingDir: '/w', User: '5:6' },
};
