import { execFileSync } from 'node:child_process';
import { copyFile, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { StepRecords } from '../../src/build/step-records.ts';
import { type KeyedInputs, type StepKey, stepKey, toHostPath } from '../../src/index.ts';
import { built, listen, openWorld, writes } from './world.ts';

const pathOf = (root: string, key: StepKey): string => join(root, key.slice(0, 2), `${key}.json`);

/** A record of each of two steps, and what was made of the first. */
async function damaged(
  damage: (paths: { readonly mine: string; readonly other: string }) => unknown,
): Promise<unknown> {
  await using dir = await tempDir();
  const records = new StepRecords(toHostPath(dir.path));
  const [mine, other] = await Promise.all(
    ['sha256:a', 'sha256:b'].map(async (digest) => {
      const inputs: KeyedInputs = { op: 'base', digest, platform: 'linux/amd64', layout: [] };
      const key = stepKey(inputs);
      await records.write(key, { inputs, title: digest, image: { env: { WORD: digest } } });
      return key;
    }),
  );
  if (mine === undefined || other === undefined) throw new Error('there are two');
  expect(await records.read(mine)).toMatchObject({ image: { env: { WORD: 'sha256:a' } } });
  await damage({ mine: pathOf(dir.path, mine), other: pathOf(dir.path, other) });
  return await records.read(mine);
}

describe('a record of a step', () => {
  it('that is the one of another step is none', async () => {
    expect(await damaged(({ mine, other }) => copyFile(other, mine))).toBeUndefined();
  });

  it('in which one letter is another is none', async () => {
    const change = async ({ mine }: { readonly mine: string }) =>
      writeFile(mine, (await readFile(mine, 'utf8')).replace('"WORD"', '"WARD"'));
    expect(await damaged(change)).toBeUndefined();
  });

  it.each(['', '{', 'null', '[]', '"text"', '{"inputs":{}}'])('that says %j is none', async (text) => {
    expect(await damaged(({ mine }) => writeFile(mine, text))).toBeUndefined();
  });

  it('that is three gigabytes long is none', async () => {
    expect(await damaged(({ mine }) => truncate(mine, 3 * 1024 ** 3))).toBeUndefined();
  });

  it('with a pipe in its place is none, and nobody waits for it', async () => {
    const replace = async ({ mine }: { readonly mine: string }) => {
      await rm(mine);
      execFileSync('mkfifo', [mine]);
    };
    expect(await damaged(replace)).toBeUndefined();
  });

  it('that is damaged makes its step run again, and what is built on it runs on the right one', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const a = await built(world.builder, '((from base) (run (shell a)))');
    const steps = join(world.stateDir, 'steps');
    const records = (await readdir(steps, { recursive: true })).filter((name) => name.endsWith('.json'));
    for (const name of records.filter((path) => !path.includes(a)))
      await copyFile(pathOf(steps, a), join(steps, name));
    const heard = listen();
    await built(world.builder, '((from base) (run (shell b)))', heard);
    expect(heard.sources().slice(-2)).toEqual(['ran', 'ran']);
  });
});
