import { createHash, type Hash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildEvent, type Builder, orThrow, parseSpec, type StepKey, toHostPath } from '@snapstep/core';
import { type StepName, specOf, writeContext } from './recipe.ts';

/** Hears of the steps of a build. */
export interface StepListener {
  started(key: StepKey, name: StepName): void;
  /** @param log - The SHA-256 of the log. */
  saved(key: string, log: string): void;
  printed?(chunk: Uint8Array): void;
}

/** Makes the build of a number, with a context that is made if it is missing. */
export async function makeBuild(
  builder: Builder,
  { build, contexts, listener }: { build: number; contexts: string; listener: StepListener },
): Promise<void> {
  const context = join(contexts, `${build}`);
  if ((await mkdir(context, { recursive: true })) !== undefined) await writeContext(context, build);
  const spec = orThrow(parseSpec(specOf(build)));
  const onEvent = hearSteps(build, listener);
  await using _result = orThrow(await builder.build({ spec, context: toHostPath(context), onEvent }));
}

function hearSteps(build: number, listener: StepListener): (event: BuildEvent) => void {
  const logs = new Map<string, Hash>();
  return (event) => {
    if (event.type === 'step-started') {
      const stage = event.stage === 'tool' ? 'tool' : 'main';
      logs.set(event.key, createHash('sha256'));
      listener.started(event.key, { build, stage, place: event.number });
    }
    if (event.type === 'step-output') {
      logs.get(event.key)?.update(event.chunk);
      listener.printed?.(event.chunk);
    }
    if (event.type === 'step-done' && event.source === 'ran') {
      listener.saved(event.key, logs.get(event.key)?.digest('hex') ?? '');
    }
  };
}
