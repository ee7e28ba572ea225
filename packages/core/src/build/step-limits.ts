import { totalmem } from 'node:os';
import { err, ok, type Result } from 'neverthrow';
import { type Failed, failed } from '../backend/failures.ts';
import type { LimitName, ResourceLimits, Sandbox } from '../backend/sandbox.ts';
import type { BuildLimits } from './builder.ts';

/** What a fork bomb stops at. A large build has some hundreds, and the kernel has 32,768 of them at the least. */
const PIDS = 4096;
/** What is left is for the system, the builder and its store. */
const SHARE_OF_MEMORY = 0.75;

/**
 * The limits of a step whose build does not say.
 *
 * @param given - Those of the embedder. What is absent has a default where the sandbox enforces it, or is no limit.
 * @throws RangeError where a number is not above 0.
 */
export function builderLimits(
  sandbox: Pick<Sandbox, 'name' | 'enforces'>,
  given: ResourceLimits = {},
): Result<ResourceLimits, Failed> {
  for (const [limit, value] of named(given)) {
    if (!(value > 0)) throw new RangeError(`the limit "${limit}" is ${value}, but must be above 0`);
    if (value === Infinity || sandbox.enforces.includes(limit)) continue;
    return err(failed(`the ${sandbox.name} sandbox cannot enforce the limit "${limit}" on this machine`));
  }
  const byDefault = { pids: PIDS, memoryBytes: Math.floor(memoryOfMachine() * SHARE_OF_MEMORY) };
  const enforced = named(byDefault).filter(([limit]) => sandbox.enforces.includes(limit));
  return ok(Object.fromEntries([...enforced, ...named(given)]));
}

/** What a step may use: what its build says, and what the builder says where the build does not. */
export function stepLimits(
  ofBuilder: ResourceLimits,
  { logBytes, ...limits }: BuildLimits = {},
): BuildLimits {
  const finite = [...named({ ...ofBuilder, ...Object.fromEntries(named(limits)) })].filter(
    ([, value]) => value !== Infinity,
  );
  return { ...Object.fromEntries(finite), ...(logBytes === undefined ? {} : { logBytes }) };
}

function named(limits: ResourceLimits): [LimitName, number][] {
  return Object.entries(limits).flatMap(([name, value]) =>
    value === undefined ? [] : [[name as LimitName, value] as [LimitName, number]],
  );
}

/** A builder may run in a container that has less than the machine. */
function memoryOfMachine(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Infinity);
}
