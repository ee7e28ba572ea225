import { isAbsolute } from 'node:path';
import type { CopyOp, Op, RunOp, Spec, UserRef } from '../spec/spec.ts';
import { StageScope } from '../spec/stage-scope.ts';

/** The stage that gives the result of the build. Stages of the spec are called by their names. */
const MAIN_STAGE = 'main';

/** A stage as the builder sees it: a base image and the steps that make snapshots. */
export interface StagePlan {
  readonly name: string;
  readonly image: string;
  readonly steps: readonly StepDraft[];
}

/** A step, and all that the ops before it said. */
export interface StepDraft {
  readonly op: RunOp | CopyOp;
  /** From 2: the base image is the first step of its stage. */
  readonly number: number;
  readonly settings: Settings;
  /** The stage that a `copy` reads; undefined for the context and for `run`. */
  readonly source: StagePlan | undefined;
}

/** What `env`, `workdir`, `user` and `shell` have said so far. What is absent is left to the image or the sandbox. */
export interface Settings {
  readonly env: Readonly<Record<string, string>>;
  /** Relative if it starts at the image's own working directory. */
  readonly cwd: string;
  readonly user?: UserRef;
  readonly shell?: readonly string[];
}

/** Every stage that the last one needs is reachable from it; the others are not there. The spec must be valid. */
export function planStages(spec: Spec): StagePlan {
  return planStage({ name: MAIN_STAGE, spec });
}

interface Scoped {
  readonly name: string;
  readonly spec: Spec;
  /** The stages outside that it may copy from. Default: none. */
  readonly outside?: StageScope<StagePlan>;
}

function planStage({ name, spec, outside }: Scoped): StagePlan {
  const visible = new StageScope(outside);
  for (const stage of spec.stages) {
    visible.add(stage.name, planStage({ name: stage.name, spec: stage.spec, outside: visible }));
  }
  const steps: StepDraft[] = [];
  const said = new Said();
  for (const op of spec.ops) {
    if (op.op === 'run' || op.op === 'copy') {
      const number = steps.length + 2;
      steps.push({ op, number, settings: said.settings(), source: sourceOf(op, visible) });
    } else {
      said.apply(op);
    }
  }
  return { name, image: spec.from, steps };
}

function sourceOf(op: RunOp | CopyOp, visible: StageScope<StagePlan>): StagePlan | undefined {
  if (op.op === 'run' || op.from === 'context') return undefined;
  const source = visible.find(op.from.stage);
  if (source === undefined) throw new Error(`the spec was not checked: there is no stage "${op.from.stage}"`);
  return source;
}

/** What the ops of a stage have said so far. Steps with nothing said between them share their settings. */
class Said {
  #now: Settings = { env: {}, cwd: '' };
  readonly #env = new Map<string, string>();
  #isEnvNew = false;

  settings(): Settings {
    if (this.#isEnvNew) this.#now = { ...this.#now, env: Object.fromEntries(this.#env) };
    this.#isEnvNew = false;
    return this.#now;
  }

  apply(op: Exclude<Op, RunOp | CopyOp>): void {
    switch (op.op) {
      case 'comment':
        return;
      case 'env':
        this.#env.set(op.name, op.value);
        this.#isEnvNew = true;
        return;
      case 'workdir':
        this.#now = { ...this.#now, cwd: joinPath(this.#now.cwd, op.path) };
        return;
      case 'user':
        this.#now = { ...this.#now, user: op.user };
        return;
      case 'shell':
        this.#now = { ...this.#now, shell: op.argv };
    }
  }
}

/** A relative path is joined as it stands: neither `..` nor a slash at the end is taken away. */
export function joinPath(directory: string, path: string): string {
  if (isAbsolute(path) || directory === '') return path;
  return directory.endsWith('/') ? `${directory}${path}` : `${directory}/${path}`;
}
