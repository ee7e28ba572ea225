import { hash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok } from 'neverthrow';
import type { Fetcher, ImageConfig } from '../backend/fetcher.ts';

/** A base image in a test: its files by their names, all in the root directory, and its configuration. */
export interface ScriptedImage extends Partial<ImageConfig> {
  readonly files?: Readonly<Record<string, string>>;
}

/** A fetcher for tests: images are made of what the script says, and pinned to a digest of that. */
export function scriptedFetcher(images: Readonly<Record<string, ScriptedImage>>): Fetcher {
  return {
    pin: async (image) => {
      const found = images[image.name];
      if (found) return ok({ ...image, digest: `sha256:${hash('sha256', JSON.stringify(found))}` });
      return err({ type: 'image-not-found', image, message: `the script has no image "${image.name}"` });
    },
    unpack: async (image, into, { log }) => {
      const { files = {}, ...config } = images[image.name] ?? {};
      for (const volume of into.values()) {
        const mounted = await volume.mount();
        if (mounted.isErr()) return err({ type: 'failed', message: 'the volume could not be mounted' });
        await using at = mounted.value;
        for (const [name, content] of Object.entries(files)) await writeFile(join(at.path, name), content);
      }
      await log.write(`unpacked ${image.name}\n`);
      return ok({ env: {}, ...config });
    },
    [Symbol.asyncDispose]: async () => {},
  };
}
