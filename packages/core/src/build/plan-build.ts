import { err, ok, type Result } from 'neverthrow';
import { planStages, type StagePlan } from '../plan/stages.ts';
import type { BuildError, BuildRequest, PlannedStep } from './builder.ts';
import type { Engine } from './engine.ts';
import { StepKeys } from './step-keys.ts';

/** The steps of every stage that is used, each stage after those it copies from. Nothing is run. */
export async function planBuild(
  engine: Engine,
  request: BuildRequest,
): Promise<Result<readonly PlannedStep[], BuildError>> {
  const keys = new StepKeys(engine, {
    context: request.context,
    ignoreFiles: request.ignoreFiles ?? [],
    secrets: request.secrets ?? new Map(),
    timeoutMs: request.limits?.timeoutMs,
    signal: request.signal ?? new AbortController().signal,
    pinning: { pull: request.pull ?? 'auto', note: (text) => request.onEvent?.({ type: 'note', text }) },
  });
  const planned: PlannedStep[] = [];
  for (const stage of inOrder(planStages(request.spec))) {
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
