import { err, ok, type Result } from 'neverthrow';
import type { PinOptions } from '../backend/fetcher.ts';
import type { HostPath, StepKey } from '../backend/names.ts';
import type { IgnoreFile } from '../plan/ignore-files.ts';
import { canonicalJson, type KeyedInputs, stepKey } from '../plan/key.ts';
import { pacer } from '../plan/pacer.ts';
import { joinPath, type StagePlan, type StepDraft } from '../plan/stages.ts';
import type { CopyOp } from '../spec/spec.ts';
import { baseStep } from './base-step.ts';
import type { BuildError, SecretValue, StepOp } from './builder.ts';
import { manifestOfCopy, openContext } from './copy-step.ts';
import type { Engine } from './engine.ts';
import { fromFetcher, fromStore } from './errors.ts';
import type { StepToMake } from './produce.ts';
import { runInputs } from './run-step.ts';

/** A step as far as it is known before it runs. */
export interface KeyedStep {
  readonly op: StepOp;
  /** None for the base. */
  readonly draft?: StepDraft;
  /** Undefined where it depends on files that a stage has yet to make. */
  readonly key?: StepKey | undefined;
  /** Undefined where the key is not known, or known only from an earlier build. */
  readonly inputs?: KeyedInputs;
  /** For a `copy` from a stage: the key it had before its files were looked at. */
  readonly quick?: StepKey | undefined;
}

type Base = Omit<StepToMake, 'stage' | 'skipsQueue' | 'diskBytes' | 'timeoutMs'>;

/** Makes the keys of one build's steps. What it had to look at, it looks at once. */
export class StepKeys {
  readonly #engine: Engine;
  readonly #context: HostPath | undefined;
  readonly #ignoreFiles: readonly IgnoreFile[];
  readonly #secrets: ReadonlyMap<string, SecretValue>;
  readonly #timeoutMs: number | undefined;
  readonly #signal: AbortSignal;
  readonly #pinning: Required<PinOptions>;
  readonly #chains = new Map<StagePlan, Promise<Result<readonly KeyedStep[], BuildError>>>();
  readonly #bases = new Map<string, Promise<Result<Base, BuildError>>>();
  readonly #contextManifests = new Map<string, Promise<Result<string, BuildError>>>();
  readonly #stageManifests = new Map<StepDraft, string>();
  /** The steps whose keys cannot change any more, unless their parents do. */
  readonly #finished = new Map<
    StepDraft,
    { readonly parent: StepKey | undefined; readonly step: KeyedStep }
  >();

  constructor(
    engine: Engine,
    options: {
      readonly context: HostPath | undefined;
      readonly ignoreFiles: readonly IgnoreFile[];
      readonly secrets: ReadonlyMap<string, SecretValue>;
      /** How long looking at the files of one copy may take. */
      readonly timeoutMs: number | undefined;
      readonly signal: AbortSignal;
      readonly pinning: Required<PinOptions>;
    },
  ) {
    this.#engine = engine;
    this.#context = options.context;
    this.#ignoreFiles = options.ignoreFiles;
    this.#secrets = options.secrets;
    this.#timeoutMs = options.timeoutMs;
    this.#signal = options.signal;
    this.#pinning = options.pinning;
  }

  /** The keys of a stage, as far as they are known now; the base is the first. */
  of(stage: StagePlan): Promise<Result<readonly KeyedStep[], BuildError>> {
    return memoise(this.#chains, stage, () => this.#chain(stage));
  }

  /** The base step of a stage, with its image pinned to a digest. */
  base(stage: StagePlan): Promise<Result<Base, BuildError>> {
    return memoise(this.#bases, stage.image, () => this.#pin(stage));
  }

  /** From now on the files that a `copy` from a stage reads are known. */
  learn(draft: StepDraft, manifest: string): void {
    this.#stageManifests.set(draft, manifest);
    this.#chains.clear();
  }

  async #chain(stage: StagePlan): Promise<Result<readonly KeyedStep[], BuildError>> {
    const base = await this.base(stage);
    if (base.isErr()) return err(base.error);
    const { op, key, inputs } = base.value;
    const steps: KeyedStep[] = [{ op, key, inputs }];
    const pause = pacer(this.#signal);
    let parent: StepKey | undefined = key;
    for (const draft of stage.steps) {
      await pause();
      const step = await this.#step(draft, parent);
      if (step.isErr()) return err(step.error);
      steps.push(step.value);
      if (step.value.inputs) this.#finished.set(draft, { parent, step: step.value });
      parent = step.value.key;
    }
    return ok(steps);
  }

  async #pin(stage: StagePlan): Promise<Result<Base, BuildError>> {
    const engine = this.#engine;
    const own = engine.store.baseImages ? await engine.store.baseImages.pin(stage.image) : ok(undefined);
    if (own.isErr()) return err(fromStore(own.error));
    const { pull } = this.#pinning;
    if (own.value) return ok(baseStep(engine, { image: own.value, isInStore: true, pull }));
    const ref = { name: stage.image, platform: engine.platform };
    const pinned = await engine.fetcher.pin(ref, this.#signal, this.#pinning);
    if (pinned.isErr()) return err(fromFetcher(pinned.error));
    return ok(baseStep(engine, { image: pinned.value, isInStore: false, pull }));
  }

  async #step(draft: StepDraft, parent: StepKey | undefined): Promise<Result<KeyedStep, BuildError>> {
    const { op } = draft;
    const common = { op, draft };
    if (parent === undefined) return ok(common);
    const finished = this.#finished.get(draft);
    if (finished?.parent === parent) return ok(finished.step);
    if (op.op === 'run') {
      const inputs = runInputs(this.#engine, { parent, op, settings: draft.settings }, this.#secrets);
      return ok({ ...common, inputs, key: stepKey(inputs) });
    }
    const quick = draft.source
      ? await this.#quickKey({ draft, op, parent, source: draft.source })
      : ok(undefined);
    if (quick.isErr()) return err(quick.error);
    const manifest = draft.source ? ok(this.#stageManifests.get(draft)) : await this.#contextManifest(op);
    if (manifest.isErr()) return err(manifest.error);
    if (manifest.value === undefined) {
      const key = quick.value && this.#engine.index.resolveAlias(quick.value);
      return ok({ ...common, key, quick: quick.value });
    }
    const inputs = { op: 'copy', parent, manifest: manifest.value, ...destination(draft, op) } as const;
    return ok({ ...common, inputs, key: stepKey(inputs), quick: quick.value });
  }

  async #quickKey(copy: {
    readonly draft: StepDraft;
    readonly op: CopyOp;
    readonly parent: StepKey;
    readonly source: StagePlan;
  }): Promise<Result<StepKey | undefined, BuildError>> {
    const { draft, op, parent } = copy;
    const source = await this.of(copy.source);
    if (source.isErr()) return err(source.error);
    const stage = source.value.at(-1)?.key;
    if (stage === undefined) return ok(undefined);
    const { src, exclude } = op;
    return ok(stepKey({ op: 'copy-from-stage', parent, stage, src, exclude, ...destination(draft, op) }));
  }

  #contextManifest(op: CopyOp): Promise<Result<string, BuildError>> {
    const root = this.#context;
    if (root === undefined) throw new Error('the request was not checked: there is no context');
    const { src, exclude } = op;
    const id = canonicalJson({ src, exclude, named: op.dst.endsWith('/') });
    return memoise(this.#contextManifests, id, () =>
      manifestOfCopy(this.#engine, op, {
        source: openContext(root, this.#ignoreFiles),
        timeoutMs: this.#timeoutMs,
        signal: this.#signal,
      }),
    );
  }
}

function destination(
  draft: StepDraft,
  op: CopyOp,
): { target: string; user?: NonNullable<StepDraft['settings']['user']> } {
  const { cwd, user } = draft.settings;
  return { target: joinPath(cwd, op.dst), ...(user === undefined ? {} : { user }) };
}

function memoise<K, V>(memo: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  const known = memo.get(key);
  if (known) return known;
  const made = make();
  memo.set(key, made);
  return made;
}
