import { err, ok, type Result } from 'neverthrow';
import type { StoreError } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import { type Difference, differences, type Explanation } from '../plan/explain.ts';
import type { Engine } from './engine.ts';

/** How many of the steps used last are compared. */
const COMPARED = 500;

/** The inputs behind a key, and the saved step that differs from it least. */
export async function explain(engine: Engine, key: StepKey): Promise<Result<Explanation, StoreError>> {
  const inputs = await engine.records.inputs(key);
  if (inputs === undefined) {
    const message = `nothing is known of the step ${key}: it never ran here and was not planned just now, or it was pruned`;
    return err({ type: 'not-found', key, message });
  }
  let nearest: { readonly key: StepKey; readonly differences: readonly Difference[] } | undefined;
  for (const other of engine.index.similar(inputs.op, COMPARED)) {
    const candidate = other === key ? undefined : await engine.records.read(other);
    if (candidate === undefined) continue;
    const found = differences(candidate.inputs, inputs);
    if (nearest === undefined || found.length < nearest.differences.length)
      nearest = { key: other, differences: found };
  }
  return ok({ key, saved: engine.index.isSaved(key), inputs, nearest });
}
