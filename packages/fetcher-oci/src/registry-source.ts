import { join } from 'node:path';
import { err, type FetchError, type Result } from '@snapstep/core/backend';
import { watchLayers } from './layer-progress.ts';
import { type RegistryReference, registryUrl } from './reference.ts';
import { explainRegistryFailure } from './registry-failure.ts';
import { pinKey, pinReference } from './registry-pin.ts';
import { copyImage } from './skopeo.ts';
import { type ImageSource, notHeld, type SourceContext, type UnpackTarget } from './source.ts';
import { unpackLayout } from './unpack-layout.ts';

/** An image in a registry, pulled by skopeo. Layers are not kept: what was unpacked is a snapshot of the store. */
export function registrySource(reference: RegistryReference, context: SourceContext): ImageSource {
  return {
    pin: (asking) => pinReference(reference, { context, asking }),
    async unpack(target) {
      const url = registryUrl({ ...reference, version: target.digest });
      if (target.pull === 'never') return err(notHeld(context.image, `${url} is not on this machine`));
      const directory = await context.scratch.directory();
      if (directory.isErr()) return err(directory.error);
      await using scratch = directory.value;
      const cwd = scratch.path;
      const pulled = await pull(reference, { context, target, cwd, url });
      if (pulled.isErr()) return err(pulled.error);
      return await unpackLayout({ ...target, image: context.image, cwd, layout: 'layout' });
    },
  };
}

interface Pull {
  readonly context: SourceContext;
  readonly target: UnpackTarget;
  readonly cwd: string;
  readonly url: string;
}

async function pull(
  reference: RegistryReference,
  { context, target, cwd, url }: Pull,
): Promise<Result<void, FetchError>> {
  const { digest, log, signal, budget } = target;
  const access = context.access(reference.registry);
  await log.write(`Pulling ${url}\n`);
  await using _size = budget.watch(cwd);
  await using _progress = await watchLayers(join(cwd, 'layout'), log);
  const copied = await copyImage({ from: url, to: 'oci:layout:image', cwd, access, signal });
  if (copied.isOk()) return copied.map(() => undefined);
  const error = explainRegistryFailure(copied.error, { image: context.image, reference, access, digest });
  // The next build asks what the name means by now.
  if (error.type === 'image-not-found') await forget(reference, { context, digest });
  return err(error);
}

async function forget(
  reference: RegistryReference,
  { context, digest }: { readonly context: SourceContext; readonly digest: string },
): Promise<void> {
  const key = pinKey(reference, context);
  context.recentPins.delete(key);
  if (context.pins.get(key)?.digest === digest) await context.pins.forget(key);
}
