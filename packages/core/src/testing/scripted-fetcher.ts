import { hash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok } from 'neverthrow';
import { cancelled, failed, type StoreError } from '../backend/failures.ts';
import type { FetchError, Fetcher, ImageConfig } from '../backend/fetcher.ts';
import { attempt } from '../backend/store-failure.ts';

/** A base image in a test: its files by their names, all in the root directory, and its configuration. */
export interface ScriptedImage extends Partial<ImageConfig> {
  readonly files?: Readonly<Record<string, string>>;
}

/** A fetcher for tests: images are made of what the script says, and pinned to a digest of that. */
export function scriptedFetcher(images: Readonly<Record<string, ScriptedImage>>): Fetcher {
  return {
    pin: async (image, signal) => {
      if (signal.aborted) return err(cancelled(signal));
      const found = images[image.name];
      if (found) return ok({ ...image, digest: digestOf(found) });
      return err({ type: 'image-not-found', image, message: `the script has no image "${image.name}"` });
    },
    unpack: async (image, into, { log, signal }) => {
      if (signal.aborted) return err(cancelled(signal));
      const found = images[image.name];
      if (found === undefined || digestOf(found) !== image.digest) {
        return err(failed(`the script has another image "${image.name}" than the one that was pinned`));
      }
      const { files = {}, ...config } = found;
      for (const volume of into.values()) {
        const mounted = await volume.mount();
        if (mounted.isErr()) return err(fetchError(mounted.error));
        await using at = mounted.value;
        for (const [name, content] of Object.entries(files)) {
          const written = await attempt(writeFile(join(at.path, name), content));
          if (written.isErr()) return err(fetchError(written.error));
        }
      }
      await log.write(`unpacked ${image.name}\n`);
      return ok({ env: {}, ...config });
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function fetchError(error: StoreError): FetchError {
  if (error.type === 'cancelled' || error.type === 'no-space') return error;
  return failed(`the volume cannot be filled: ${error.message}`, error);
}

function digestOf(image: ScriptedImage): string {
  return `sha256:${hash('sha256', JSON.stringify(image))}`;
}
