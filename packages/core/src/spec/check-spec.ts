import { err, ok, type Result } from 'neverthrow';
import { checkOp, type Finding, Surroundings } from './check-op.ts';
import { checkShape } from './check-shape.ts';
import { checkText } from './check-text.ts';
import type { Spec, SpecError, Stage } from './spec.ts';
import { type SpecLimits, SpecSize, specLimits } from './spec-limits.ts';
import { StageScope } from './stage-scope.ts';

/**
 * Checks a spec that was made by hand or came from JSON; {@link parseSpec} has checked its own.
 *
 * Beyond the types it demands that
 * - every text is well-formed Unicode without NUL;
 * - names, paths and images are not empty, but for the id of a cache and for a source, which is then all there is;
 * - an image has no control characters;
 * - `copy` names a stage declared before it, in its own spec or one around it;
 * - `copy` has a source, none of them has a `..`, and several of them go to a `dst` that ends with `/`;
 * - what `copy` excludes are patterns that can match something;
 * - a network is `[]` or `['host']`;
 * - a uid or gid is a whole number from 0 to 2³²−2;
 * - the name of an environment variable has no `=`, white space or control character;
 * - no two mounts of a `run` have the same target, and none is the root directory;
 * - a cache id is short enough for a file name of the store;
 * - nothing goes beyond the limits.
 *
 * @param limits - Those that are absent have their defaults.
 * @returns The first error, with the place in the spec, such as `stages[0].spec.ops[2].src[1]`, in its message.
 */
export function checkSpec(spec: Spec, limits?: Partial<SpecLimits>): Result<void, SpecError> {
  const all = specLimits(limits);
  const finding = checkShape(spec, all) ?? firstFinding(spec, all);
  if (finding === undefined) return ok(undefined);
  return err({ message: finding.path === '' ? finding.message : `${finding.path}: ${finding.message}` });
}

/** The first rule that a spec breaks whose types are right, and whose size was looked at. */
export function firstFinding(spec: Spec, limits: SpecLimits): Finding | undefined {
  for (const finding of checkNested(spec, { path: '', size: new SpecSize(limits) })) return finding;
  return undefined;
}

/** @param path - Empty for the whole spec. */
export function below(path: string, field: string): string {
  return path === '' ? field : `${path}.${field}`;
}

interface Nested {
  readonly path: string;
  readonly outside?: StageScope<true>;
  readonly size: SpecSize;
}

function* checkNested(spec: Spec, { path, outside, size }: Nested): Generator<Finding> {
  const visible = new StageScope<true>(outside);
  for (const [index, stage] of spec.stages.entries()) {
    yield* checkStage(stage, { path: below(path, `stages[${index}]`), outside: visible, size });
    visible.add(stage.name, true);
  }
  yield* checkText(spec.from, { path: below(path, 'from'), what: 'the base image' });
  if (/\p{Cc}/u.test(spec.from)) {
    yield { path: below(path, 'from'), message: 'the base image may not contain control characters' };
  }
  const around = new Surroundings(visible, size);
  for (const [index, op] of spec.ops.entries())
    yield* checkOp(op, { path: below(path, `ops[${index}]`), around });
}

function* checkStage(stage: Stage, at: Nested): Generator<Finding> {
  yield* checkText(stage.name, { path: `${at.path}.name`, what: 'the name of a stage' });
  yield* checkNested(stage.spec, { ...at, path: `${at.path}.spec` });
}
