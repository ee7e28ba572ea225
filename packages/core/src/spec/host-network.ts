import { below } from './check-spec.ts';
import type { RunOp, Spec } from './spec.ts';

/** A `run` with the host's network, and its place in the spec, such as `stages[0].spec.ops[2]`. */
export interface HostNetworkRun {
  readonly op: RunOp;
  readonly path: string;
}

/** The first `run` of a spec, or of its stages, that has the host's network; also where nobody reads its stage. */
export function firstWithHostNetwork(spec: Spec, path = ''): HostNetworkRun | undefined {
  for (const [index, stage] of spec.stages.entries()) {
    const found = firstWithHostNetwork(stage.spec, `${below(path, `stages[${index}]`)}.spec`);
    if (found !== undefined) return found;
  }
  for (const [index, op] of spec.ops.entries()) {
    if (op.op === 'run' && op.network.includes('host')) return { op, path: below(path, `ops[${index}]`) };
  }
  return undefined;
}
