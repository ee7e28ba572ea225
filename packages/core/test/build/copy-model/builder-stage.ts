import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk } from '@snapstep/test-support';
import { expect } from 'vitest';
import type { Store } from '../../../src/backend/index.ts';
import {
  type BuildError,
  type Builder,
  copy,
  type LeasedSnapshot,
  openBuilder,
  type Result,
  run,
  spec,
  stage,
  toHostPath,
  user,
  workdir,
} from '../../../src/index.ts';
import { type ScriptedCommand, scriptedFetcher, scriptedSandbox } from '../../../src/testing/index.ts';
import { BIG, type CopyStory } from './arbitrary-case.ts';
import type { Stage } from './check-story.ts';
import { openContext } from './context.ts';
import { makeWorld, readWorld, type Wanted, type World } from './world.ts';

/** Whole builds, each with a step for what was there before, from the context or from a stage. */
export async function openBuilderStage(dir: string, store: Store): Promise<Stage> {
  const script: Record<string, ScriptedCommand> = {};
  const context = await openContext(dir);
  const stateDir = toHostPath(join(dir, 'state'));
  const [sandbox, fetcher] = [scriptedSandbox(script), scriptedFetcher({ base: {} })];
  const builder = expectOk(await openBuilder({ store, sandbox, fetcher, stateDir }));
  let count = 0;
  return {
    perform: async (story, watch) => {
      count += 1;
      const parts = specsOf(story, `${count}`);
      script[`before ${count}`] = makes(story.before);
      script[`source ${count}`] = makes(story.source, { [BIG]: 'small in a stage' });
      await context.fill(story.source);
      const build = async (one: ReturnType<typeof spec>): Promise<Result<LeasedSnapshot, BuildError>> =>
        builder.build({ spec: one, context: context.path });
      try {
        return await watch({
          before: await worldOf(expectOk(await build(parts.upTo(0)))),
          source:
            story.from === 'context'
              ? readWorld(context.path)
              : await worldOf(expectOk(await build(parts.source))),
          copy: async (i) => {
            const result = await build(parts.upTo(i + 1));
            if (result.isOk()) return worldOf(result.value);
            expect(['sandbox', 'invalid-context']).toContain(result.error.type);
            return undefined;
          },
        });
      } finally {
        await forget(builder);
      }
    },
    [Symbol.asyncDispose]: () => builder[Symbol.asyncDispose](),
  };
}

function specsOf(story: CopyStory, name: string) {
  const source = spec('base', run(`source ${name}`));
  const options = story.from === 'stage' ? { from: 'source' } : {};
  const ops = story.copies.map(({ workdirs, src, dst, exclude, owner }, i) => [
    ...(i === 0 ? workdirs : ['/', ...workdirs]).map((path) => workdir(path)),
    user(owner),
    copy(src, dst, { exclude, ...options }),
  ]);
  return {
    source,
    upTo: (copies: number) =>
      spec('base', stage('source', source), run(`before ${name}`), ...ops.slice(0, copies).flat()),
  };
}

function makes(tree: readonly Wanted[], files: Readonly<Record<string, string>> = {}): ScriptedCommand {
  return async ({ root }) => {
    await makeWorld(root, tree);
    for (const [name, content] of Object.entries(files)) await writeFile(join(root, name), content);
    return 0;
  };
}

async function worldOf(result: LeasedSnapshot): Promise<World> {
  await using leased = result;
  const [volume] = leased.snapshot.volumes.values();
  if (volume === undefined) throw new Error('the snapshot has no volume');
  await using mounted = expectOk(await volume.mount());
  return readWorld(mounted.path);
}

/** All but the base image, so that a disk holds any number of stories. */
async function forget(builder: Builder): Promise<void> {
  const steps = expectOk(await builder.list());
  const base = steps.find(({ parent }) => parent === undefined)?.key;
  for (const { key } of steps.filter(({ parent }) => parent === base)) expectOk(await builder.remove(key));
}
