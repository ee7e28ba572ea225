import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { collectLog, tempDir } from '@snapstep/test-support';
import { expect, test } from 'vitest';
import { watchLayers } from '../src/layer-progress.ts';

const layer = (digit: string) => join('blobs/sha256', digit.repeat(64));

test('each layer that arrives is a line of the log, and what is JSON is none', async () => {
  await using dir = await tempDir();
  const log = collectLog();
  {
    await using _progress = await watchLayers(dir.path, log);
    await writeFile(join(dir.path, layer('a')), 'x'.repeat(20_000));
    await writeFile(join(dir.path, layer('b')), '{}');
  }
  expect(log.text()).toMatch(/^ {2}layer a{12} 0\.02 MB after \d+\.\d s\n$/);
});

test('a log that rejects in the middle of a pull is told at its end, and ends no process', async () => {
  await using dir = await tempDir();
  const reason = new Error('the disk of the log is full');
  const unheard: unknown[] = [];
  const listener = (error: unknown) => void unheard.push(error);
  process.on('unhandledRejection', listener);
  const written = Promise.withResolvers<void>();
  const log = {
    write: async () => {
      written.resolve();
      throw reason;
    },
  };
  const progress = await watchLayers(dir.path, log);
  await writeFile(join(dir.path, layer('a')), 'x');
  await written.promise;
  // Rejections are looked at when all promises had their turn.
  await new Promise((resolve) => setImmediate(resolve));
  await writeFile(join(dir.path, layer('b')), 'x');
  await expect(progress[Symbol.asyncDispose]()).rejects.toBe(reason);
  process.off('unhandledRejection', listener);
  expect(unheard).toEqual([]);
});
