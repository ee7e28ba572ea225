import {
  err,
  type HostPath,
  ok,
  type Result,
  type Sandbox,
  type StoreFeature,
  toHostPath,
} from '@snapstep/core';
import { openFailure } from './build-failure.ts';
import { type Failure, usageFailure } from './failure.ts';
import { findProgram } from './find-program.ts';
import { coveredPlaces, withoutCovered } from './macos-places.ts';
import type { ImageOptions } from './options.ts';
import { defaultSandbox } from './sandbox-name.ts';

/** A sandbox of any kind; that the store has what it requires is checked where the two meet. */
export type AnySandbox = Sandbox<StoreFeature>;

/** Opens the sandbox that the options name, or the one of this platform. Only its package is loaded. */
export async function openSandbox(
  directory: string,
  options: ImageOptions,
): Promise<Result<AnySandbox, Failure>> {
  const stateDir = toHostPath(directory);
  const isMacos = (options.sandbox ?? defaultSandbox()) === 'macos';
  return isMacos ? openMacos(stateDir, options) : openRunc(stateDir, options);
}

async function openRunc(stateDir: HostPath, options: ImageOptions): Promise<Result<AnySandbox, Failure>> {
  if (process.platform !== 'linux') {
    return err(usageFailure(`the runc sandbox needs Linux, and this is ${process.platform}`));
  }
  const { openRuncSandbox } = await import('@snapstep/sandbox-runc');
  const sandbox = await openRuncSandbox({
    stateDir,
    fastSync: options.fastSync ?? false,
    allow: options.allow ?? [],
    ...(options.runtime === undefined ? {} : { runtime: options.runtime }),
  });
  return sandbox.mapErr(openFailure);
}

async function openMacos(stateDir: HostPath, options: ImageOptions): Promise<Result<AnySandbox, Failure>> {
  const wrong = whyNotMacos(options);
  if (wrong !== undefined) return err(usageFailure(wrong));
  const { openMacosSandbox } = await import('@snapstep/sandbox-macos');
  const { macosUser: users = [], homebrewPrefix } = options;
  // Homebrew asks everybody to put its programs first; a step's are not for root.
  process.env.PATH = withoutCovered(process.env.PATH ?? '', coveredPlaces({ users, homebrewPrefix }));
  const sandbox = await openMacosSandbox({
    stateDir,
    users,
    ...(homebrewPrefix === undefined ? {} : { homebrewPrefix: toHostPath(homebrewPrefix) }),
  });
  return sandbox.isErr() ? err(openFailure(sandbox.error)) : ok(sandbox.value as AnySandbox);
}

function whyNotMacos({ macosUser, runtime, fastSync, allow }: ImageOptions): string | undefined {
  // Not the platform: what is tested with tools that behave as a Mac's do runs elsewhere.
  if (findProgram('dscl') === undefined) return 'the macos sandbox needs macOS: there is no "dscl" here';
  if (macosUser === undefined) {
    return 'the macos sandbox needs a local user to run steps as: --macos-user NAME:UID:GID';
  }
  if (runtime !== undefined) return '--runtime is for containers, and the macos sandbox has none';
  if (fastSync) return '--fast-sync is for containers, and the macos sandbox has none';
  if (allow !== undefined) return '--allow is for containers, and the macos sandbox has none';
  return undefined;
}
