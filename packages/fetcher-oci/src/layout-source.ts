import { join } from 'node:path';
import { err, type FetchError, failed, type Result } from '@snapstep/core/backend';
import type { Descriptor } from './manifest.ts';
import { borrowLayout, findImage, readIndex } from './oci-layout.ts';
import { type ImageSource, imageNotFound, type SourceContext } from './source.ts';
import { unpackLayout } from './unpack-layout.ts';

export interface LayoutReference {
  readonly path: string;
  readonly tag?: string;
}

/** An image in an OCI layout on the disk. Pinning it starts no process. */
export function layoutSource(reference: LayoutReference, context: SourceContext): ImageSource {
  return {
    async pin() {
      const image = await findPinned(reference, context);
      return image.map(({ digest }) => digest);
    },
    async unpack(target) {
      const image = await findPinned(reference, context);
      if (image.isErr()) return err(image.error);
      if (image.value.digest !== target.digest) {
        return err(failed(`${nameOf(reference)} changed: it was ${target.digest} when it was pinned`));
      }
      const directory = await context.scratch.directory();
      if (directory.isErr()) return err(directory.error);
      await using scratch = directory.value;
      await target.log.write(`Unpacking ${nameOf(reference)}\n`);
      const from = reference.path;
      await borrowLayout(join(scratch.path, 'layout'), { from, image: image.value });
      return await unpackLayout({ ...target, image: context.image, cwd: scratch.path, layout: 'layout' });
    },
  };
}

async function findPinned(
  reference: LayoutReference,
  { image }: SourceContext,
): Promise<Result<Descriptor, FetchError>> {
  const index = await readIndex(reference.path);
  if (index.isErr()) {
    const message = `${nameOf(reference)} is not an OCI layout: ${index.error.message}`;
    return err(isNotThere(index.error.cause) ? imageNotFound(image, message) : failed(message));
  }
  const start = chooseTag(index.value, reference);
  if (start === undefined) {
    return err(imageNotFound(image, `${nameOf(reference)}: ${tagAdvice(index.value, reference)}`));
  }
  const found = await findImage(start, { layout: reference.path, platform: image.platform });
  return found.mapErr((error) => failed(`${nameOf(reference)}: ${error.message}`, error.cause));
}

/** Without a tag there must be but one, or one for all platforms. */
function chooseTag(manifests: readonly Descriptor[], { tag }: LayoutReference): Descriptor | undefined {
  if (tag === undefined) return manifests.length === 1 ? manifests[0] : undefined;
  return manifests.find(
    (each) => each.annotations[REF_NAME] === tag || each.annotations['io.containerd.image.name'] === tag,
  );
}

const REF_NAME = 'org.opencontainers.image.ref.name';

function tagAdvice(manifests: readonly Descriptor[], { tag }: LayoutReference): string {
  const tags = manifests.flatMap((each) => each.annotations[REF_NAME] ?? []);
  const wanted = tag === undefined ? 'it holds several images, so it needs a tag' : `it has no tag "${tag}"`;
  return `${wanted}; there are: ${tags.join(', ') || 'none'}`;
}

function nameOf({ path, tag }: LayoutReference): string {
  return `oci:${path}${tag === undefined ? '' : `:${tag}`}`;
}

function isNotThere(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR');
}
