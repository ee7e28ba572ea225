import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk } from '@snapstep/test-support';
import { ok } from 'neverthrow';
import { expect } from 'vitest';
import { systemClock } from '../../../src/backend/clock.ts';
import { HashCache } from '../../../src/backend/hash-cache.ts';
import type { Store } from '../../../src/backend/index.ts';
import { copyBody, manifestOfCopy, openContext as openSources } from '../../../src/build/copy-step.ts';
import {
  type BuildError,
  copy,
  spec,
  toHostPath,
  toStepKey,
  toVolumeName,
  user,
  workdir,
} from '../../../src/index.ts';
import { planStages } from '../../../src/plan/stages.ts';
import { scriptedSandbox } from '../../../src/testing/index.ts';
import type { Stage } from './check-story.ts';
import { empty, openContext } from './context.ts';
import type { CopyCase } from './model.ts';
import { makeWorld, readWorld } from './world.ts';

const { signal } = new AbortController();

/** The copies alone, into one volume of a store that each story fills anew: a few milliseconds each. */
export async function openVolumeStage(dir: string, store: Store): Promise<Stage> {
  const context = await openContext(dir);
  await mkdir(join(dir, 'state'));
  const hashes = HashCache.open(toHostPath(join(dir, 'state')));
  const engine = { clock: systemClock, hashes, sandbox: scriptedSandbox({}) };
  const from = { empty: [toVolumeName('rootfs')] };
  const active = expectOk(await store.prepare({ key: toStepKey('0'.repeat(64)), from, signal }));
  const [volume] = active.volumes.values();
  if (volume === undefined) throw new Error('the snapshot has no volume');
  const mounted = expectOk(await volume.mount());
  return {
    perform: async (story, watch) => {
      await context.fill(story.source);
      await empty(mounted.path);
      await makeWorld(mounted.path, story.before);
      return watch({
        before: readWorld(mounted.path),
        source: readWorld(context.path),
        copy: async (i) => {
          const { op, settings } = draftOf(story.copies[i] as CopyCase);
          const source = openSources(context.path, []);
          const manifest = await manifestOfCopy(engine, op, { source, timeoutMs: undefined, signal });
          const openSource = async () => ok(source);
          if (manifest.isErr()) return refused(manifest.error);
          const step = { op, settings, image: { env: {} }, manifest: manifest.value, openSource };
          const copied = await copyBody(engine, step, { active, signal });
          return copied.isErr() ? refused(copied.error) : readWorld(mounted.path);
        },
      });
    },
    [Symbol.asyncDispose]: async () => {
      await mounted[Symbol.asyncDispose]();
      await active[Symbol.asyncDispose]();
      hashes[Symbol.dispose]();
    },
  };
}

/** By the spec or its files: a store that cannot write would be something else. */
function refused({ type }: BuildError): undefined {
  expect(['sandbox', 'invalid-context']).toContain(type);
}

function draftOf({ workdirs, owner, src, dst, exclude }: CopyCase) {
  const ops = [...workdirs.map((path) => workdir(path)), user(owner), copy(src, dst, { exclude })];
  const [draft] = planStages(spec('base', ...ops)).steps;
  if (draft?.op.op !== 'copy') throw new Error('there is one step, a copy');
  return { op: draft.op, settings: draft.settings };
}
