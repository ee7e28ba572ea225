import { ok } from 'neverthrow';
import type { PinnedImage, PullPolicy } from '../backend/fetcher.ts';
import { type KeyedInputs, stepKey } from '../plan/key.ts';
import type { Engine } from './engine.ts';
import { fromFetcher } from './errors.ts';
import type { StepToMake } from './produce.ts';

/** The first step of a stage: the base image, unpacked. */
export function baseStep(
  engine: Engine,
  base: { readonly image: PinnedImage; readonly isInStore: boolean; readonly pull: PullPolicy },
): Omit<StepToMake, 'stage' | 'skipsQueue' | 'diskBytes' | 'timeoutMs'> {
  const { image } = base;
  const { layout } = engine.sandbox;
  const inputs: KeyedInputs = { op: 'base', digest: image.digest, platform: image.platform, layout };
  return {
    key: stepKey(inputs),
    op: { op: 'base', image: image.name },
    title: `(from ${image.name})`,
    inputs,
    parent: undefined,
    from: base.isInStore ? { baseImage: image } : { empty: layout },
    image: { env: {} },
    body: async ({ active, log, signal }) => {
      if (base.isInStore) return ok({ env: {} });
      const unpacked = await engine.fetcher.unpack(image, active.volumes, { log, signal, pull: base.pull });
      return unpacked.mapErr(fromFetcher);
    },
  };
}
