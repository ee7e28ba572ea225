import { type BuildError, err, ok } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import { buildFailure } from '../build-failure.ts';
import { type Failure, machineFailure, usageFailure } from '../failure.ts';
import { type ImageOptions, imageOptions } from '../options.ts';
import { writeErr } from '../output.ts';
import { withBuilder } from '../with-builder.ts';
import { define } from './define.ts';

export function healthcheckCommand(): Command {
  return define('healthcheck', {
    description: 'Build a tiny spec for real, never from the cache: does this machine work?',
    arguments: [['[IMAGE]', 'a base image that has a shell (default: busybox)']],
    options: imageOptions(),
    examples: [
      'snapstep healthcheck',
      'snapstep healthcheck debian --image debian=rootfs:/srv/debian',
      'snapstep healthcheck --store btrfs:/data/snapstep --runtime runc',
    ],
  }).action((image: string | undefined, options: ImageOptions) =>
    perform((signal) =>
      withBuilder(options, async (builder) => {
        const health = await builder.healthcheck(image ?? 'busybox', signal);
        if (health.isErr()) return err(await healthFailure(health.error, image));
        await writeErr('healthy\n');
        return ok();
      }),
    ),
  );
}

/** Whatever goes wrong is the machine's fault, but for a name that cannot be one of an image. */
async function healthFailure(error: BuildError, image: string | undefined): Promise<Failure> {
  const { message } = buildFailure(error, { source: NOT_A_FILE, tailOf: () => [] });
  const isNotFound = error.type === 'fetch' && error.error.type === 'image-not-found';
  if (!isNotFound || image === undefined) return machineFailure(message);
  const { checkReference } = await import('@snapstep/fetcher-oci');
  return checkReference(image).isErr() ? usageFailure(message) : machineFailure(message);
}

/** The spec of a health check is the library's own. */
const NOT_A_FILE = { file: 'healthcheck', text: '' };
