import { posix } from 'node:path';
import {
  type Account,
  cancelled,
  type Exit,
  err,
  type LimitName,
  type Owner,
  type Result,
  type RunRequest,
  type Sandbox,
  type SandboxError,
  type VolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import { findAccount } from './accounts.ts';
import { enforceableLimits } from './cgroup-layout.ts';
import { runStep, type Workshop } from './run-step.ts';
import { canKeepCgroup } from './runtime.ts';
import { mountWorld, ROOTFS } from './world.ts';

/** The sandbox over a workshop that stands. Disposing it ends what runs. */
export class RuncSandbox implements Sandbox {
  readonly name: string;
  readonly requires: readonly never[] = [];
  readonly layout: readonly VolumeName[] = [ROOTFS];
  readonly enforces: readonly LimitName[];
  readonly concurrency: number = Infinity;
  readonly defaultShell: readonly [string, ...string[]] = ['/usr/bin/env', 'bash', '-c'];
  readonly defaultPath: string = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  readonly #workshop: Workshop;
  readonly #close: () => Promise<void>;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(workshop: Workshop, close: () => Promise<void>) {
    this.name = workshop.runtime.kind;
    this.enforces = enforceableLimits(workshop.layout).filter((limit) => isExact(workshop, limit));
    this.#workshop = workshop;
    this.#close = close;
  }

  locate(path: string): { readonly volume: VolumeName; readonly path: string } | undefined {
    const inside = posix.join('/', path);
    return /^\/(proc|sys|dev)(\/|$)/.test(inside) ? undefined : { volume: ROOTFS, path: inside };
  }

  async account(
    user: Owner | { readonly name: string },
    volumes: Volumes,
  ): Promise<Result<Account | undefined, SandboxError>> {
    const world = await mountWorld({ volumes, mounts: [] });
    if (world.isErr()) return err(world.error);
    await using mounted = world.value;
    return await findAccount(mounted.rootfs, user);
  }

  async run(request: RunRequest): Promise<Result<Exit, SandboxError>> {
    const signal = AbortSignal.any([request.signal, this.#closing.signal]);
    if (signal.aborted) return err(cancelled(signal));
    const running = runStep(this.#workshop, { ...request, signal });
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#closing.abort(new Error('the sandbox was closed'));
    await Promise.allSettled(this.#running);
    await this.#close();
  }
}

/** On cgroup v1 an overstepped limit shows only in a cgroup that the runtime has not removed. */
function isExact({ layout, runtime }: Workshop, limit: LimitName): boolean {
  if (limit !== 'memoryBytes' || layout.version === 2) return true;
  return runtime.kind === 'crun' || canKeepCgroup(runtime);
}
