import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { HashTable } from '../../src/backend/hash-table.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

it('keeps as many hashes as it may, and forgets all before one too many', async () => {
  await using place = await openTable({ mostRows: 4 });
  place.insert('a', 'b');
  place.insert('c', 'd');
  expect(place.found()).toEqual(['a', 'b', 'c', 'd']);
  place.insert('e');
  expect(place.found()).toEqual(['e']);
  place.insert('f', 'g', 'h');
  expect(place.found()).toEqual(['e', 'f', 'g', 'h']);
  place.insert('a');
  expect(place.found()).toEqual(['a']);
});

it('counts the hashes that it has when it is opened', async () => {
  await using place = await openTable({ mostRows: 4 });
  place.insert('a', 'b', 'c');
  place.reopen();
  place.insert('d');
  expect(place.found()).toEqual(['a', 'b', 'c', 'd']);
  place.reopen();
  place.insert('e');
  expect(place.found()).toEqual(['e']);
});

it('keeps all hashes of an insert or none, and does not count those it could not keep', async () => {
  await using place = await openTable({ mostRows: 4 });
  place.insert('a');
  place.refuse('h');
  expect(() => place.insert('b', 'h', 'c')).toThrow('refused');
  expect(place.found()).toEqual(['a']);
  expect(() => place.insert('b', 'c', 'd', 'h')).toThrow('refused');
  expect(place.found()).toEqual(['a']);
  place.insert('b', 'c', 'd');
  expect(place.found()).toEqual(['a', 'b', 'c', 'd']);
});

/** A table that is to hold hashes of files with the names of `NAMES`. */
async function openTable({ mostRows }: { readonly mostRows: number }) {
  const dir = await tempDir();
  const file = join(dir.path, 'hashes.db');
  const open = () => HashTable.open(file, { boot: 'one', mostRows });
  let table = open();
  const reopen = () => {
    table.close();
    table = open();
  };
  return {
    reopen,
    insert: (...names: readonly string[]) =>
      table.insert(names.map((name) => ({ name, stamp: '1', sha256: `of ${name}` }))),
    found: () => NAMES.filter((name) => table.find({ name, stamp: '1' }) === `of ${name}`),
    /** From now on there is a name that the database does not take. */
    refuse: (name: string) => {
      table.close();
      const db = new DatabaseSync(file);
      db.exec(`CREATE TRIGGER refuse BEFORE INSERT ON file WHEN NEW.name = '${name}'
        BEGIN SELECT RAISE(ABORT, 'refused'); END`);
      db.close();
      table = open();
    },
    [Symbol.asyncDispose]: async () => {
      table.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}
