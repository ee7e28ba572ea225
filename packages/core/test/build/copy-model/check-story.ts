import { expect } from 'vitest';
import type { CopyStory } from './arbitrary-case.ts';
import { copyInModel } from './model.ts';
import { describeWorld, type World } from './world.ts';

/** Real copies of one story. */
export interface Performance {
  /** The trees as they really came to be: what is there before the first copy, and what is copied from. */
  readonly before: World;
  readonly source: World;
  /** @returns The world after the copy of that number; undefined if it was refused. */
  copy(index: number): Promise<World | undefined>;
}

/** Where stories are held against real copies. */
export interface Stage extends AsyncDisposable {
  perform<T>(story: CopyStory, watch: (performance: Performance) => Promise<T>): Promise<T>;
}

/** @throws What `expect` does where a copy did anything else than the model says. */
export function checkStory(story: CopyStory, stage: Stage): Promise<'copied' | 'refused'> {
  return stage.perform(story, async ({ before, source, copy }) => {
    let world = before;
    for (const [i, one] of story.copies.entries()) {
      const expected = copyInModel(world, source, one);
      const real = await copy(i);
      expect(real && describeWorld(real, expected ?? real)).toEqual(
        expected && describeWorld(expected, expected),
      );
      if (real === undefined) return 'refused';
      world = real;
    }
    return 'copied';
  });
}
