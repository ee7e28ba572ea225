import { err, ok, type Result } from 'neverthrow';
import type { StepKey } from '../backend/names.ts';
import type { Produce } from '../cache/step-table.ts';
import type { StepDraft } from '../plan/stages.ts';
import { titleOf } from '../spec/index.ts';
import type { BuildError, BuildRequest } from './builder.ts';
import { copyBody, openContext, openSnapshot, type SourcePlace } from './copy-step.ts';
import type { Engine } from './engine.ts';
import { fromStore, lost } from './errors.ts';
import { produce, type StepToMake } from './produce.ts';
import { runBody } from './run-step.ts';
import type { KeyedStep } from './step-keys.ts';

/** A build request, and what only the builder itself may ask for. */
export interface InnerRequest extends BuildRequest {
  /** Health checks do not wait for a slot, so that they answer while all are taken. */
  readonly skipsQueue?: boolean;
}

/** What the step table needs to know of a step that may have to run. */
export interface Obtainable {
  readonly key: StepKey;
  readonly produce: Produce<BuildError>;
  readonly outlivesWaiter: boolean;
  readonly logBytes: number;
}

/** A step after the base, with everything it stands on. */
export interface StandingStep {
  readonly step: KeyedStep & { readonly draft: StepDraft; readonly key: StepKey };
  readonly stage: string;
  readonly parent: StepKey;
  /** For a `copy` from a stage: what that stage ended with. */
  readonly source: StepKey | undefined;
}

type Base = Omit<StepToMake, 'stage' | 'skipsQueue' | 'diskBytes' | 'timeoutMs'>;

export function obtainableBase(
  engine: Engine,
  request: InnerRequest,
  { base, stage }: { readonly base: Base; readonly stage: string },
): Obtainable {
  const { skipsQueue = false, diskBytes, limits } = request;
  const step: StepToMake = { ...base, stage, skipsQueue, diskBytes, timeoutMs: limits?.timeoutMs };
  return {
    key: step.key,
    outlivesWaiter: true,
    logBytes: logBytesOf(engine, request),
    produce: (io) => produce(engine, step, io),
  };
}

export async function obtainableStep(
  engine: Engine,
  request: InnerRequest,
  standing: StandingStep,
): Promise<Result<Obtainable, BuildError>> {
  const { step, parent, source } = standing;
  const record = await engine.records.read(parent);
  if (record === undefined) return err(lost(parent, 'its record is gone'));
  if (step.inputs === undefined) throw new Error('a step that has to run must know its inputs');
  const toMake: StepToMake = {
    key: step.key,
    stage: standing.stage,
    op: step.op,
    title: titleOf(step.draft.op),
    inputs: step.inputs,
    parent,
    from: { snapshot: parent },
    image: record.image,
    skipsQueue: request.skipsQueue ?? false,
    diskBytes: request.diskBytes,
    timeoutMs: step.op.op === 'copy' ? request.limits?.timeoutMs : undefined,
    body: bodyOf(engine, request, { ...standing, image: record.image }),
  };
  return ok({
    key: step.key,
    outlivesWaiter: step.op.op !== 'copy' || source !== undefined,
    logBytes: logBytesOf(engine, request),
    produce: async (io) => {
      // A step may go on when the build that started it is gone, and with it that build's leases.
      using _source = source === undefined ? undefined : engine.leases.take(source);
      return await produce(engine, toMake, io);
    },
  });
}

/** Makes a snapshot readable as the source of a copy. The caller leases it. */
export async function openStep(engine: Engine, key: StepKey): Promise<Result<SourcePlace, BuildError>> {
  const snapshot = await engine.store.lookup(key);
  if (snapshot.isErr()) return err(fromStore(snapshot.error));
  if (snapshot.value === undefined) return err(lost(key, `the ${engine.store.name} store does not have it`));
  return openSnapshot(engine, snapshot.value);
}

function logBytesOf({ logBytes }: Engine, { limits }: InnerRequest): number {
  return Math.floor(limits?.logBytes ?? logBytes);
}

function bodyOf(
  engine: Engine,
  request: InnerRequest,
  { step, stage, source, image }: StandingStep & Pick<StepToMake, 'image'>,
): StepToMake['body'] {
  const { op, settings } = step.draft;
  if (op.op === 'run') {
    const secrets = request.secrets ?? new Map();
    const { logBytes: _, ...limits } = request.limits ?? {};
    const run = { key: step.key, stage, op, settings, image, secrets, limits };
    return (io) => runBody(engine, run, io);
  }
  const { context, ignoreFiles = [] } = request;
  const openSource = async (): Promise<Result<SourcePlace, BuildError>> => {
    if (source !== undefined) return openStep(engine, source);
    if (context === undefined) throw new Error('the request was not checked: there is no context');
    return ok(openContext(context, ignoreFiles));
  };
  const manifest = step.inputs?.op === 'copy' ? step.inputs.manifest : '';
  return (io) => copyBody(engine, { op, settings, image, manifest, openSource }, io);
}
