import { join } from 'node:path';
import {
  type Cancelled,
  type CommandFailed,
  err,
  type FetchError,
  failed,
  type Result,
} from '@snapstep/core/backend';
import { fileDigest } from './file-digest.ts';
import { findLocal, whileUnchanged } from './local-file.ts';
import { sha256 } from './manifest.ts';
import type { ArchiveReference } from './reference.ts';
import { skopeoReason } from './registry-failure.ts';
import { relabelLayers } from './relabel-layers.ts';
import { copyImage } from './skopeo.ts';
import { type ImageSource, imageNotFound, type SourceContext, type UnpackTarget } from './source.ts';
import { unpackLayout } from './unpack-layout.ts';

/** An image in an `oci-archive` or `docker-archive`. Its digest is that of the file, the tag and the platform. */
export function archiveSource(reference: ArchiveReference, context: SourceContext): ImageSource {
  return {
    async pin({ signal }) {
      const path = await findLocal(reference.path, context);
      if (path.isErr()) return err(path.error);
      return archiveDigest({ ...reference, path: path.value.path }, { context, signal });
    },
    async unpack(target) {
      const path = await findLocal(reference.path, context);
      if (path.isErr()) return err(path.error);
      const found = { ...reference, path: path.value.path };
      const directory = await context.scratch.directory();
      if (directory.isErr()) return err(directory.error);
      await using scratch = directory.value;
      const cwd = scratch.path;
      const extracted = await whileUnchanged(found.path, () => extract(found, { context, target, cwd }));
      if (extracted.isErr()) return err(extracted.error);
      const relabelled = await relabelLayers(join(cwd, 'layout'));
      if (relabelled.isErr()) return err(relabelled.error);
      return await unpackLayout({ ...target, image: context.image, cwd, layout: 'layout' });
    },
  };
}

async function archiveDigest(
  reference: ArchiveReference,
  { context, signal }: { readonly context: SourceContext; readonly signal: AbortSignal },
): Promise<Result<string, FetchError>> {
  const digest = await fileDigest(reference.path, { hashes: context.hashes, signal });
  const facts = [reference.kind, reference.tag ?? '', context.image.platform];
  return digest.map((file) => sha256(['snapstep archive 1', ...facts, file].join('\n')));
}

interface ExtractOptions {
  readonly context: SourceContext;
  readonly target: UnpackTarget;
  readonly cwd: string;
}

async function extract(
  reference: ArchiveReference,
  { context, target, cwd }: ExtractOptions,
): Promise<Result<string, FetchError>> {
  const { digest, log, signal } = target;
  const { platform } = context.image;
  const name = nameOf(reference);
  const current = await archiveDigest(reference, { context, signal });
  if (current.isErr()) return err(current.error);
  if (current.value !== digest) return err(failed(`${name} was changed since it was pinned`));
  await log.write(`Reading ${name}\n`);
  const copied = await copyImage({
    from: name,
    to: 'oci:layout:image',
    cwd,
    platform,
    layers: 'keep',
    signal,
  });
  return copied.mapErr((error) => explain(error, { name, context }));
}

function explain(
  error: CommandFailed | Cancelled,
  { name, context }: { readonly name: string; readonly context: SourceContext },
): FetchError {
  if (error.type === 'cancelled') return error;
  const message = `${name}: ${skopeoReason(error)}`;
  const isMissing = /no descriptor found|Tag .* not found|no image found in/i.test(message);
  return isMissing ? imageNotFound(context.image, message) : failed(message, error);
}

function nameOf({ kind, path, tag }: ArchiveReference): string {
  return `${kind}:${path}${tag === undefined ? '' : `:${tag}`}`;
}
