import { type Builder, err, ok, openBuilder, type Result, toHostPath } from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { storeFailure } from './build-failure.ts';
import type { Failure } from './failure.ts';
import { openStore } from './open-store.ts';
import type { ImageOptions } from './options.ts';
import { defaultStore, stateDirectories } from './store-location.ts';

export type OpenOptions = ImageOptions & { readonly concurrency?: number };

/** A builder, and all that stands behind it, until it is disposed. */
export interface OpenBuilder extends AsyncDisposable {
  readonly builder: Builder;
}

/** Opens the store, the sandbox and the fetcher that the options name, and a builder on them. */
export async function openFromOptions(options: OpenOptions): Promise<Result<OpenBuilder, Failure>> {
  const held: AsyncDisposable[] = [];
  const release = async (): Promise<void> => {
    for (const part of held.reverse()) await part[Symbol.asyncDispose]();
  };
  const builder = await openParts(options, (part) => held.push(part));
  if (builder.isOk()) return ok({ builder: builder.value, [Symbol.asyncDispose]: release });
  await release();
  return err(builder.error);
}

type Hold = (part: AsyncDisposable) => void;

/** The store comes first: its lock keeps a second command from the containers of the first. */
async function openParts(options: OpenOptions, hold: Hold): Promise<Result<Builder, Failure>> {
  const location = options.store ?? defaultStore();
  const directories = stateDirectories(location);
  const store = await openStore(location);
  if (store.isErr()) return err(store.error);
  hold(store.value);
  const sandbox = await openRuncSandbox({
    stateDir: toHostPath(directories.sandbox),
    ...(options.runtime === undefined ? {} : { runtime: options.runtime }),
  });
  if (sandbox.isErr()) return err(storeFailure(sandbox.error));
  hold(sandbox.value);
  const fetcher = await openOciFetcher({
    stateDir: toHostPath(directories.fetcher),
    ...(options.image === undefined ? {} : { images: options.image }),
    ...(options.insecureRegistry === undefined ? {} : { insecureRegistries: options.insecureRegistry }),
  });
  if (fetcher.isErr()) return err(storeFailure(fetcher.error));
  hold(fetcher.value);
  const builder = await openBuilder({
    store: store.value,
    sandbox: sandbox.value,
    fetcher: fetcher.value,
    stateDir: toHostPath(directories.builder),
    ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
  });
  if (builder.isErr()) return err(storeFailure(builder.error));
  hold(builder.value);
  return ok(builder.value);
}
