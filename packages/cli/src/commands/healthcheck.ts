import { err, ok } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import { buildFailure } from '../build-failure.ts';
import { machineFailure } from '../failure.ts';
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
        if (health.isErr()) {
          const { message } = buildFailure(health.error, { source: NOT_A_FILE, tailOf: () => [] });
          return err(machineFailure(message));
        }
        await writeErr('healthy\n');
        return ok();
      }),
    ),
  );
}

/** The spec of a health check is the library's own. */
const NOT_A_FILE = { file: 'healthcheck', text: '' };
