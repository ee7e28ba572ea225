import type { Exit, Result, RunRequest, Sandbox, SandboxError } from '@snapstep/core/backend';
import { sandboxPromises, sandboxSuite } from '@snapstep/core/conformance';
import { type Breakage, said } from '../by-promise.ts';
import type { Mutant } from '../mutant.ts';
import { type Healthy, type HealthyOptions, openPlace, world } from './healthy-place.ts';

export type Run = (request: RunRequest) => Promise<Result<Exit, SandboxError>>;

export interface SandboxBreakage extends Breakage<typeof sandboxPromises> {
  /** Other members in place of the healthy ones. */
  readonly change?: (healthy: Healthy) => Partial<Sandbox>;
  /** Another `run`, around the healthy one. */
  readonly run?: (run: Run, healthy: Healthy) => Run;
  readonly runtime?: HealthyOptions['runtime'];
  readonly reopen?: HealthyOptions['reopen'];
}

/** A healthy sandbox of containers with one thing broken. */
export function sandboxMutant({ change, run, runtime, reopen, ...breakage }: SandboxBreakage): Mutant {
  const breakIt = (healthy: Healthy): Sandbox => {
    const healthyRun: Run = (request) => healthy.sandbox.run(request, {}) as ReturnType<Run>;
    return derive(healthy.sandbox, {
      ...change?.(healthy),
      ...(run && { run: run(healthyRun, healthy) }),
    });
  };
  const open = () => openPlace({ change: breakIt, ...(runtime && { runtime }), ...(reopen && { reopen }) });
  return {
    ...said(sandboxPromises, breakage),
    needs: ['root', 'busybox', 'runc'],
    suite: (functions) => sandboxSuite(functions, { ...world, open }),
  };
}

/** A sandbox with other members. */
function derive(sandbox: Sandbox, members: Partial<Sandbox>): Sandbox {
  return {
    name: sandbox.name,
    requires: sandbox.requires,
    layout: sandbox.layout,
    enforces: sandbox.enforces,
    concurrency: sandbox.concurrency,
    defaultShell: sandbox.defaultShell,
    defaultPath: sandbox.defaultPath,
    locate: (path) => sandbox.locate(path),
    account: (user, volumes) => sandbox.account(user, volumes),
    run: (request, features) => sandbox.run(request, features),
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
    ...members,
  };
}
