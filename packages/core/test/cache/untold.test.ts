import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs, tmpfsVolume } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { closeIndexFile, openIndexFile } from '../../src/cache/index-file.ts';
import { Statements } from '../../src/cache/statements.ts';
import { Untold } from '../../src/cache/untold.ts';
import { key } from './keys.ts';

needs('root')('what becomes of steps', () => {
  it('stands in the file of the index at once, and nowhere else, where there is room', async () => {
    await using place = await openPlace(1, 2);
    place.untold.tell(key(1), 'gone');
    place.untold.tell(key(2), 'removing');
    expect([place.inFile(), place.inMemory()]).toEqual([{ [key(2)]: 'removing' }, {}]);
  });

  it('stands in memory while the disk of the index is full, then in the file with the next of it', async () => {
    await using place = await openPlace(1, 2, 3);
    await place.fill();
    place.untold.tell(key(1), 'gone');
    place.untold.tell(key(2), 'removing');
    expect(place.inFile()).toEqual({ [key(1)]: 'saved', [key(2)]: 'saved', [key(3)]: 'saved' });
    expect(place.inMemory()).toEqual({ [key(1)]: 'gone', [key(2)]: 'removing' });
    await place.empty();
    place.untold.tell(key(3), 'gone');
    expect([place.inFile(), place.inMemory()]).toEqual([{ [key(2)]: 'removing' }, {}]);
  });

  it('stays in memory where the disk is still full', async () => {
    await using place = await openPlace(1, 2);
    await place.fill();
    place.untold.tell(key(1), 'removing');
    place.untold.tell(key(2), 'gone');
    place.untold.retry();
    expect(place.inMemory()).toEqual({ [key(1)]: 'removing', [key(2)]: 'gone' });
  });

  it('is what the file was told last, whatever it could not be told before', async () => {
    await using place = await openPlace(1);
    await place.fill();
    place.untold.tell(key(1), 'removing');
    await place.empty();
    place.untold.tell(key(1), 'saved');
    expect([place.inFile(), place.inMemory()]).toEqual([{ [key(1)]: 'saved' }, {}]);
  });
});

/** The file of an index with saved steps, on a disk that can be filled. */
async function openPlace(...numbers: readonly number[]) {
  const disk = await tmpfsVolume({ sizeMiB: 1 });
  const db = openIndexFile(join(disk.path, 'index.db'));
  const statements = new Statements(db);
  const insert = "INSERT INTO steps VALUES (?, NULL, 'saved', 'run', 'run', 0, 0, 0, 0, NULL)";
  for (const number of numbers) statements.run(insert, key(number));
  const states = (table: string): Record<string, unknown> =>
    Object.fromEntries(
      statements.all(`SELECT key, state FROM ${table}`).map(({ key, state }) => [key, state]),
    );
  const filler = join(disk.path, 'filler');
  return {
    untold: new Untold(statements),
    inFile: () => states('main.steps'),
    inMemory: () => states('temp.untold'),
    fill: async (): Promise<void> => {
      const { bavail, bsize } = await statfs(disk.path);
      await writeFile(filler, Buffer.alloc(bavail * bsize));
    },
    empty: () => rm(filler),
    [Symbol.asyncDispose]: async () => {
      closeIndexFile(db);
      await disk[Symbol.asyncDispose]();
    },
  };
}
