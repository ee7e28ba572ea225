import {
  type BuildEvent,
  type Builder,
  type Outcome as CallOutcome,
  type LeasedSnapshot,
  parseSpec,
  toCacheId,
  toHostPath,
  toStepKey,
} from '@snapstep/core';
import { expectOk } from '@snapstep/test-support';
import type { Answer, Ask, BuiltStep, KnownStep, WorldPlace } from '../answer.ts';
import type { Recipe } from '../recipes.ts';
import { ask } from './ask.ts';
import { Descriptors } from './descriptors.ts';
import { compareTree } from './read-tree.ts';
import { World } from './world.ts';

/** Does what it is asked for with one builder after the other, and looks at every result that it is given. */
export class Session {
  readonly #descriptors = new Descriptors();
  readonly #onPause: () => void;
  #world = new World();
  #place: WorldPlace | undefined;

  constructor(onPause: () => void) {
    this.#onPause = onPause;
  }

  async perform(asked: Ask): Promise<readonly Answer[]> {
    switch (asked.do) {
      case 'open':
        this.#world = new World();
        this.#place = asked.place;
        return this.#world.open(asked.place);
      case 'close':
        return this.#world.close();
      case 'leave-descriptors':
        return [{ call: asked.do, outcome: 'ok', value: this.#descriptors.leave(asked.count) }];
      case 'release-descriptors':
        return [{ call: asked.do, outcome: 'ok', value: this.#descriptors.release() }];
      case 'count-descriptors':
        return [{ call: asked.do, outcome: 'ok', value: this.#descriptors.count() }];
      default:
        return this.#world.builder === undefined ? [] : this.#call(this.#world.builder, asked);
    }
  }

  async #call(builder: Builder, asked: Ask): Promise<readonly Answer[]> {
    switch (asked.do) {
      case 'build':
        return [await this.#build(builder, asked)];
      case 'plan':
        return [await plain('plan', () => builder.plan(this.#request(asked.recipe)))];
      case 'explain':
        return [await plain('explain', () => builder.explain(toStepKey(asked.key)))];
      case 'log':
        return [await log(builder, asked.key)];
      case 'remove':
        return [await plain('remove', () => builder.remove(toStepKey(asked.key)))];
      case 'prune':
        return [await plain('prune', () => builder.prune(asked.limit ? { limit: asked.limit } : {}))];
      case 'audit':
        return audit(builder, asked.known);
      case 'list':
        return [
          await plain(
            'list',
            () => builder.list(),
            (steps) => steps.map(({ key }) => key),
          ),
        ];
      case 'usage':
        return [await plain('usage', () => builder.usage())];
      case 'caches':
        return [
          await plain(
            'caches.list',
            () => builder.caches.list(),
            (ids) => ids,
          ),
        ];
      case 'remove-cache':
        return [await plain('caches.remove', () => builder.caches.remove(toCacheId(asked.id)))];
      case 'healthcheck':
        return [await plain('healthcheck', () => builder.healthcheck(asked.image))];
      default:
        throw new Error(`nobody knows how to ${asked.do}`);
    }
  }

  #request(recipe: Recipe) {
    const context = toHostPath(this.#place?.context ?? '/nowhere');
    return { spec: expectOk(parseSpec(recipe.text)), context };
  }

  async #build(
    builder: Builder,
    { recipe, pauseAt }: { readonly recipe: Recipe; readonly pauseAt?: string },
  ): Promise<Answer> {
    const started = new Map<string, Omit<BuiltStep, 'source'>>();
    const built: BuiltStep[] = [];
    let output = '';
    let hasPaused = false;
    const onEvent = (event: BuildEvent): void => {
      if (event.type === 'step-started') {
        const { key, stage, number } = event;
        started.set(key, { key, stage, number, tree: recipe.trees[stage]?.[number - 1] ?? {} });
      }
      const step = event.type === 'step-done' ? started.get(event.key) : undefined;
      if (event.type === 'step-done' && step) built.push({ ...step, source: event.source });
      if (event.type !== 'step-output' || pauseAt === undefined || hasPaused) return;
      output += Buffer.from(event.chunk).toString();
      hasPaused = output.includes(pauseAt);
      if (hasPaused) this.#onPause();
    };
    const { answer, value } = await ask('build', () => builder.build({ ...this.#request(recipe), onEvent }));
    if (value === undefined) return answer;
    await using result = value;
    // What is harmed while it is looked at would be found wrong; the next look at all steps finds it as well.
    if (pauseAt !== undefined) return { ...answer, value: built };
    return { ...answer, value: built, wrong: await compareTree(result, recipe.trees.main?.at(-1) ?? {}) };
  }
}

/** A call whose answer nothing is done with but to tell it. */
async function plain<T>(
  call: string,
  work: () => CallOutcome<T, object>,
  shown: (value: T) => unknown = () => undefined,
): Promise<Answer> {
  const { answer, value } = await ask(call, work);
  return value === undefined ? answer : { ...answer, value: shown(value) };
}

async function log(builder: Builder, key: string): Promise<Answer> {
  const { answer, value } = await ask('log', () => builder.log(toStepKey(key)));
  if (value === undefined) return answer;
  const read = async () => {
    let length = 0;
    for await (const chunk of value.follow()) length += chunk.length;
    return length;
  };
  return read().then(
    (length) => ({ ...answer, value: length }),
    (error: unknown) => follows(answer, error),
  );
}

/** An iterator has no other way to say that a file cannot be read. */
function follows(answer: Answer, error: unknown): Answer {
  const isSystem = error instanceof Error && 'syscall' in error;
  return isSystem
    ? { ...answer, outcome: 'err', text: error.message }
    : { ...answer, outcome: 'rejected', text: String(error) };
}

/** Opens every saved step, and looks at the files of those that are known. */
async function audit(builder: Builder, known: readonly KnownStep[]): Promise<readonly Answer[]> {
  const { answer, value: steps } = await ask('list', () => builder.list());
  if (steps === undefined) return [answer];
  const trees = new Map(known.map(({ key, tree }) => [key, tree]));
  const answers: Answer[] = [];
  for (const { key } of steps) {
    const opened = await ask<LeasedSnapshot>('open', () => builder.open(key));
    const tree = trees.get(key);
    const wrong = opened.value && tree ? await compareTree(opened.value, tree) : [];
    await opened.value?.[Symbol.asyncDispose]();
    answers.push({ ...opened.answer, wrong, value: key });
  }
  return [{ ...answer, value: steps.map(({ key }) => key) }, ...answers];
}
