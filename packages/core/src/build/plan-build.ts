import { err, ok, type Result } from 'neverthrow';
import { cancelled } from '../backend/failures.ts';
import { planStages, type StagePlan } from '../plan/stages.ts';
import type { BuildError, BuildRequest, PlannedStep } from './builder.ts';
import type { Engine } from './engine.ts';
import { catchThrown } from './errors.ts';
import { EventQueue } from './event-queue.ts';
import { StepKeys } from './step-keys.ts';

/** The steps of every stage that is used, each stage after those it copies from. Nothing is run. */
export async function planBuild(
  engine: Engine,
  request: BuildRequest & { readonly signal: AbortSignal },
): Promise<Result<readonly PlannedStep[], BuildError>> {
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  const events = new EventQueue(request.onEvent, {
    onBug: (bug) => stop.abort(bug),
    ...{ signal, clock: engine.clock },
  });
  const keys = new StepKeys(engine, {
    context: request.context,
    ignoreFiles: request.ignoreFiles ?? [],
    secrets: request.secrets ?? new Map(),
    timeoutMs: request.limits?.timeoutMs,
    signal,
    pinning: { pull: request.pull ?? 'auto', note: (text) => events.emit({ type: 'note', text }) },
  });
  const planned = await catchThrown(engine, signal, () => planStepsWith(engine, keys, request));
  return signal.aborted && planned.isOk() ? err(cancelled(signal)) : planned;
}

async function planStepsWith(
  engine: Engine,
  keys: StepKeys,
  { spec }: BuildRequest,
): Promise<Result<readonly PlannedStep[], BuildError>> {
  const planned: PlannedStep[] = [];
  for (const stage of inOrder(planStages(spec))) {
    const steps = await keys.of(stage);
    if (steps.isErr()) return err(steps.error);
    for (const { op, key, inputs } of steps.value) {
      const saved = key !== undefined && engine.index.isSaved(key);
      // So that `explain` can tell why a step that is not saved was missed.
      if (key && inputs && !saved) engine.records.plan(key, inputs);
      planned.push({ stage: stage.name, op, key, saved });
    }
  }
  return ok(planned);
}

function inOrder(stage: StagePlan, seen: Set<StagePlan> = new Set()): StagePlan[] {
  if (seen.has(stage)) return [];
  seen.add(stage);
  return [...stage.steps.flatMap(({ source }) => (source ? inOrder(source, seen) : [])), stage];
}
