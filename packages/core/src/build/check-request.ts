import { statSync } from 'node:fs';
import { err, ok, type Result } from 'neverthrow';
import type { LimitName } from '../backend/sandbox.ts';
import { IGNORE_FILES } from '../plan/ignore-files.ts';
import { planStages, type StagePlan, type StepDraft } from '../plan/stages.ts';
import { firstWithHostNetwork } from '../spec/host-network.ts';
import { checkSpec, titleOf } from '../spec/index.ts';
import type { BuildError, BuildRequest } from './builder.ts';
import type { Engine } from './engine.ts';

/** Everything that can be wrong with a request and be known before anything runs. */
export function checkRequest(engine: Engine, request: BuildRequest): Result<void, BuildError> {
  const checked = checkSpec(request.spec, engine.specLimits);
  if (checked.isErr()) return err({ type: 'invalid-spec', ...checked.error });
  const steps = allSteps(planStages(request.spec));
  return checkNetwork(engine, request)
    .andThen(() => checkLimits(engine, request))
    .andThen(() => checkSecrets(request, steps))
    .andThen(() => checkContext(request, steps));
}

function allSteps(main: StagePlan): StepDraft[] {
  const stages = new Set([main]);
  for (const stage of stages) for (const step of stage.steps) if (step.source) stages.add(step.source);
  return [...stages].flatMap((stage) => stage.steps);
}

function checkNetwork({ hostNetwork }: Engine, { spec }: BuildRequest): Result<void, BuildError> {
  const run = hostNetwork === 'allow' ? undefined : firstWithHostNetwork(spec);
  if (run === undefined) return ok();
  const message = `the host's network is not for specs here: ${titleOf(run.op)}`;
  return err({ type: 'refused-network', ...run, message });
}

function checkLimits(
  { sandbox, store }: Engine,
  { limits = {}, diskBytes }: BuildRequest,
): Result<void, BuildError> {
  const { logBytes, ...ofSandbox } = limits;
  if (logBytes !== undefined) checkLogBytes(logBytes);
  for (const [name, value] of Object.entries(ofSandbox)) {
    const limit = name as LimitName;
    if (value === undefined || value === Infinity || sandbox.enforces.includes(limit)) continue;
    const message = `the ${sandbox.name} sandbox cannot enforce the limit "${limit}" on this machine`;
    return err({ type: 'unenforceable-limit', limit, message });
  }
  if (diskBytes === undefined || store.quota) return ok();
  const message = `the ${store.name} store cannot limit how much a step writes`;
  return err({ type: 'unenforceable-limit', limit: 'diskBytes', message });
}

/** @throws RangeError unless it is at least 1. */
export function checkLogBytes(logBytes: number): void {
  if (!(logBytes >= 1)) throw new RangeError(`logBytes is ${logBytes}, but must be at least 1`);
}

function checkSecrets({ secrets }: BuildRequest, steps: readonly StepDraft[]): Result<void, BuildError> {
  for (const { op } of steps) {
    const missing = op.op === 'run' ? op.secrets.find(({ id }) => !secrets?.has(id)) : undefined;
    if (missing) {
      const message = `the spec wants the secret "${missing.id}", but it was not given`;
      return err({ type: 'missing-secret', id: missing.id, message });
    }
  }
  return ok();
}

function checkContext(
  { context, ignoreFiles = [] }: BuildRequest,
  steps: readonly StepDraft[],
): Result<void, BuildError> {
  const unknown = ignoreFiles.find((name) => !IGNORE_FILES.includes(name));
  if (unknown !== undefined) {
    const message = `"${unknown}" is no ignore file; there are ${IGNORE_FILES.join(' and ')}`;
    return err({ type: 'invalid-context', path: unknown, message });
  }
  const copy = steps.find(({ op, source }) => op.op === 'copy' && source === undefined)?.op;
  if (copy?.op !== 'copy') return ok();
  if (context === undefined) {
    const message = 'the spec copies files, but no context directory was given';
    return err({ type: 'invalid-context', path: copy.src.join(' '), message });
  }
  if (statSync(context, { throwIfNoEntry: false })?.isDirectory()) return ok();
  return err({
    type: 'invalid-context',
    path: context,
    message: `the context "${context}" is not a directory`,
  });
}
