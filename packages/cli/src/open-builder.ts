import { existsSync } from 'node:fs';
import {
  type Builder,
  err,
  ok,
  openBuilder,
  type Result,
  type Store,
  type StoreFeature,
  type StoreWith,
  toHostPath,
} from '@snapstep/core';
import { checkReference, type OciFetcherOptions, openOciFetcher } from '@snapstep/fetcher-oci';
import { openFailure } from './build-failure.ts';
import { type Failure, usageFailure } from './failure.ts';
import { type AnySandbox, openSandbox } from './open-sandbox.ts';
import { openStore } from './open-store.ts';
import type { ImageOptions } from './options.ts';
import { defaultStore, stateDirectories } from './store-location.ts';

export type OpenOptions = ImageOptions & {
  readonly concurrency?: number;
  readonly refuseHostNetwork?: boolean;
};

/** A builder, and all that stands behind it, until it is disposed. */
export interface OpenBuilder extends AsyncDisposable {
  readonly builder: Builder;
}

/** Opens the store, the sandbox and the fetcher that the options name, and a builder on them. */
export async function openFromOptions(options: OpenOptions): Promise<Result<OpenBuilder, Failure>> {
  const held: Partial<AsyncDisposable>[] = [];
  const release = async (): Promise<void> => {
    for (const part of held.reverse()) await part[Symbol.asyncDispose]?.();
  };
  const builder = await openParts(options, (part) => held.push(part));
  if (builder.isOk()) return ok({ builder: builder.value, [Symbol.asyncDispose]: release });
  await release();
  return err(builder.error);
}

type Hold = (part: Partial<AsyncDisposable>) => void;

async function openParts(options: OpenOptions, hold: Hold): Promise<Result<Builder, Failure>> {
  const images = checkImages(options.image);
  if (images.isErr()) return err(images.error);
  const location = options.store ?? defaultStore();
  const { builder: stateDir, sandbox: sandboxDir, fetcher: fetcherDir } = stateDirectories(location);
  // What a killed command left running must end before the store clears up. A new store wants an empty directory.
  const early = existsSync(sandboxDir) ? await openSandbox(sandboxDir, options) : undefined;
  if (early?.isErr()) return err(early.error);
  if (early?.isOk()) hold(early.value);
  const store = await openStore(location);
  if (store.isErr()) return err(store.error);
  hold(store.value);
  const sandbox = early ?? (await openSandbox(sandboxDir, options));
  if (sandbox.isErr()) return err(sandbox.error);
  if (early === undefined) hold(sandbox.value);
  const matched = match(store.value, sandbox.value);
  if (matched.isErr()) return err(matched.error);
  const fetcher = await openOciFetcher({ stateDir: toHostPath(fetcherDir), ...fetcherOptions(options) });
  if (fetcher.isErr()) return err(openFailure(fetcher.error));
  hold(fetcher.value);
  const builder = await openBuilder<StoreFeature>({
    store: matched.value,
    sandbox: sandbox.value,
    fetcher: fetcher.value,
    stateDir: toHostPath(stateDir),
    adopt: options.adopt ?? false,
    hostNetwork: options.refuseHostNetwork ? 'refuse' : 'allow',
    ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
  });
  if (builder.isErr()) return err(openFailure(builder.error));
  hold(builder.value);
  return ok(builder.value);
}

/** Looked at before anything is opened, and also where the spec does not use the name. */
function checkImages(images: ReadonlyMap<string, string> = new Map()): Result<void, Failure> {
  for (const [name, reference] of images) {
    const checked = checkReference(reference);
    if (checked.isErr()) return err(usageFailure(`--image ${name}=...: ${checked.error.message}`));
  }
  return ok();
}

/** A store that has what the sandbox cannot work without. */
function match(store: Store, sandbox: AnySandbox): Result<StoreWith<StoreFeature>, Failure> {
  const lacking = sandbox.requires.filter((feature) => store[feature] === undefined);
  if (lacking.length === 0) return ok(store as StoreWith<StoreFeature>);
  const needed = lacking.map((feature) => NEEDED[feature]).join(' and ');
  return err(
    usageFailure(
      `the ${sandbox.name} sandbox needs a store that ${needed}, and ${store.name} does not: use --store zfs:POOL/DATASET`,
    ),
  );
}

const NEEDED: Readonly<Record<StoreFeature, string>> = {
  placement: 'can mount a volume at a given place',
  baseImages: 'holds base images',
  quota: 'can limit what a step writes',
  transfer: 'can send snapshots',
};

function fetcherOptions(options: OpenOptions): Omit<OciFetcherOptions, 'stateDir'> {
  return {
    ...(options.image === undefined ? {} : { images: options.image }),
    ...(options.insecureRegistry === undefined ? {} : { insecureRegistries: options.insecureRegistry }),
  };
}
