import { expectOk, tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { toHostPath, toStepKey } from '../../src/index.ts';
import { stepFiles, stepPrefix } from '../../src/plan/file-names.ts';
import { walkSource } from '../../src/plan/source-walk.ts';
import { writeTree } from '../build/world.ts';

it('a file of a saved step is named by the key and its path from the root, whatever the source', async () => {
  await using dir = await tempDir();
  await writeTree(dir.path, { 'd/f': '', 'd/g': '' });
  const key = 'ab'.repeat(32);
  const names = stepFiles(toStepKey(key));
  const entries = [...walkSource({ root: toHostPath(dir.path), exclude: [] }, 'd')].map((entry) =>
    expectOk(entry),
  );
  expect(entries.map(names)).toEqual([`step/${key}/d`, `step/${key}/d/f`, `step/${key}/d/g`]);
  expect(stepPrefix(toStepKey(key))).toBe(`step/${key}`);
});
