import { join } from 'node:path';
import { openBtrfsStore } from '@snapstep/store-btrfs';
import { btrfsVolume, expectOk, needs, tempDir } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHostPath } from '../../../src/index.ts';
import { memoryStore } from '../../../src/testing/index.ts';
import { copyStory } from './arbitrary-case.ts';
import { openBuilderStage } from './builder-stage.ts';
import { checkStory, type Stage } from './check-story.ts';
import { openVolumeStage } from './volume-stage.ts';

/** How many stories, of one to three copies each: `npm run test:copy-model` asks for 10,000. */
const ASKED = process.env.SNAPSTEP_COPY_CASES;
const CASES = Number(ASKED ?? 300);
/** A build saves its steps and is some ten times as slow. */
const BUILDS = Math.ceil(CASES / 40);
const HOUR = 3_600_000;

describe('a copy does what the model says, of any tree, over any tree, however it is written', () => {
  it('into a volume of the memory store', { timeout: HOUR }, async () => {
    await using dir = await tempDir();
    await using store = await memoryStore();
    await using stage = await openVolumeStage(dir.path, store);
    await checkStories(stage, CASES);
  });

  it('in builds over the memory store', { timeout: HOUR }, async () => {
    await using dir = await tempDir();
    await using store = await memoryStore();
    await using stage = await openBuilderStage(dir.path, store);
    await checkStories(stage, BUILDS);
  });
});

needs('root', 'btrfs')('a copy does what the model says on Btrfs', () => {
  it('into a volume', { timeout: HOUR }, async () => {
    await using disk = await btrfsVolume();
    await using store = expectOk(await openBtrfsStore({ path: toHostPath(join(disk.path, 'store')) }));
    await using stage = await openVolumeStage(disk.path, store);
    await checkStories(stage, ASKED === undefined ? CASES / 3 : CASES);
  });

  it('in builds', { timeout: HOUR }, async () => {
    await using disk = await btrfsVolume();
    await using store = expectOk(await openBtrfsStore({ path: toHostPath(join(disk.path, 'store')) }));
    await using stage = await openBuilderStage(disk.path, store);
    await checkStories(stage, BUILDS);
  });
});

async function checkStories(stage: Stage, cases: number): Promise<void> {
  const counts = { copied: 0, refused: 0 };
  const property = fc.asyncProperty(copyStory, async (story) => {
    counts[await checkStory(story, stage)] += 1;
  });
  await fc.assert(property, { numRuns: cases });
  if (ASKED !== undefined) console.log(`${counts.copied} copied, ${counts.refused} refused`);
  // About a half is copied. Of a few cases it may be none.
  if (cases >= 100) expect(counts.copied).toBeGreaterThan(cases / 4);
}
