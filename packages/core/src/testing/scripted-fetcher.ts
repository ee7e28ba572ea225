import { hash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { cancelled, failed, type StoreError } from '../backend/failures.ts';
import type {
  FetchError,
  Fetcher,
  ImageConfig,
  ImageRef,
  PinnedImage,
  PullPolicy,
} from '../backend/fetcher.ts';
import { attempt } from '../backend/store-failure.ts';
import type { Volumes } from '../backend/volume.ts';

/** A base image in a test: its files by their names, all in the root directory, and its configuration. */
export interface ScriptedImage extends Partial<ImageConfig> {
  readonly files?: Readonly<Record<string, string>>;
}

/** A fetcher whose images are somewhere in a network that a test can take away. */
export interface ScriptedFetcher extends Fetcher {
  /** Whether anybody answers who is asked for an image, or about one. True at first. */
  isOnline: boolean;
}

/** A fetcher for tests: images are made of what the script says, and pinned to a digest of that. */
export function scriptedFetcher(images: Readonly<Record<string, ScriptedImage>>): ScriptedFetcher {
  const last = new Map<string, PinnedImage>();
  const ask = (image: ImageRef, pull: PullPolicy): Result<ScriptedImage, FetchError> => {
    const found = images[image.name];
    if (pull === 'never') return err(notHeld(image));
    if (!fetcher.isOnline) return err(failed(`nobody answers who knows "${image.name}"`));
    if (found) return ok(found);
    return err({ type: 'image-not-found', image, message: `the script has no image "${image.name}"` });
  };
  const fetcher: ScriptedFetcher = {
    isOnline: true,
    async pin(image, signal, { pull = 'auto', note } = {}) {
      if (signal.aborted) return err(cancelled(signal));
      const id = `${image.name} ${image.platform}`;
      const known = last.get(id);
      if (known && pull === 'never') return ok(known);
      const asked = ask(image, pull).map((found) => ({ ...image, digest: digestOf(found) }));
      if (asked.isOk()) last.set(id, asked.value);
      if (asked.isOk() || asked.error.type !== 'failed' || !known || pull === 'always') return asked;
      await note?.(`${asked.error.message}: taking what it was last, ${known.digest}`);
      return ok(known);
    },
    async unpack(image, into, { log, signal, pull = 'auto' }) {
      if (signal.aborted) return err(cancelled(signal));
      const asked = ask(image, pull);
      if (asked.isErr() && asked.error.type !== 'image-not-found') return err(asked.error);
      if (asked.isErr() || digestOf(asked.value) !== image.digest) {
        return err(failed(`the script has another image "${image.name}" than the one that was pinned`));
      }
      const { files = {}, ...config } = asked.value;
      const written = await writeFiles(files, into);
      if (written.isErr()) return err(written.error);
      await log.write(`unpacked ${image.name}\n`);
      return ok({ env: {}, ...config });
    },
    [Symbol.asyncDispose]: async () => {},
  };
  return fetcher;
}

async function writeFiles(
  files: Readonly<Record<string, string>>,
  into: Volumes,
): Promise<Result<void, FetchError>> {
  for (const volume of into.values()) {
    const mounted = await volume.mount();
    if (mounted.isErr()) return err(fetchError(mounted.error));
    await using at = mounted.value;
    for (const [name, content] of Object.entries(files)) {
      const written = await attempt(writeFile(join(at.path, name), content));
      if (written.isErr()) return err(fetchError(written.error));
    }
  }
  return ok();
}

function notHeld(image: ImageRef): FetchError {
  return { type: 'not-held', image, message: `"${image.name}" is not here, and nobody may be asked` };
}

function fetchError(error: StoreError): FetchError {
  if (error.type === 'cancelled' || error.type === 'no-space') return error;
  return failed(`the volume cannot be filled: ${error.message}`, error);
}

function digestOf(image: ScriptedImage): string {
  return `sha256:${hash('sha256', JSON.stringify(image))}`;
}
