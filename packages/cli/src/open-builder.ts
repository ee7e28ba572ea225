import { existsSync } from 'node:fs';
import { type Builder, err, ok, openBuilder, type Result, type Sandbox, toHostPath } from '@snapstep/core';
import { type OciFetcherOptions, openOciFetcher } from '@snapstep/fetcher-oci';
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
  const fetcher = await openOciFetcher({ stateDir: toHostPath(fetcherDir), ...fetcherOptions(options) });
  if (fetcher.isErr()) return err(storeFailure(fetcher.error));
  hold(fetcher.value);
  const builder = await openBuilder({
    store: store.value,
    sandbox: sandbox.value,
    fetcher: fetcher.value,
    stateDir: toHostPath(stateDir),
    ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
  });
  if (builder.isErr()) return err(storeFailure(builder.error));
  hold(builder.value);
  return ok(builder.value);
}

async function openSandbox(directory: string, options: OpenOptions): Promise<Result<Sandbox, Failure>> {
  const sandbox = await openRuncSandbox({
    stateDir: toHostPath(directory),
    fastSync: options.fastSync ?? false,
    ...(options.runtime === undefined ? {} : { runtime: options.runtime }),
  });
  return sandbox.mapErr(storeFailure);
}

function fetcherOptions(options: OpenOptions): Omit<OciFetcherOptions, 'stateDir'> {
  return {
    ...(options.image === undefined ? {} : { images: options.image }),
    ...(options.insecureRegistry === undefined ? {} : { insecureRegistries: options.insecureRegistry }),
  };
}
