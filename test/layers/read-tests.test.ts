import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { READ_FILES, READ_TESTS } from '../../scripts/checks/read-tests.ts';

const repository = resolve(import.meta.dirname, '../..');
const read = (file: string) => readFile(join(repository, file), 'utf8');

test.each(READ_FILES)('%s is there for npm run test:reads', async (file) => {
  expect(await read(file)).not.toBe('');
});

test.each(READ_TESTS)('$file has the tests of npm run test:reads', async ({ file, titles }) => {
  const text = await read(file);
  expect(titles.filter((title) => !text.includes(title))).toEqual([]);
});
