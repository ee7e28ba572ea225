import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ownerOf } from './owner.ts';
import type { Scene } from './scene.ts';

/** What the index says of each step: `saved`, or a state that promises nothing. */
export type IndexRows = ReadonlyMap<string, string>;

/**
 * Reads the index of a builder, which may be running; undefined if there is none yet.
 *
 * @throws What SQLite says of a damaged file.
 */
export async function readIndexRows(scene: Scene): Promise<IndexRows | undefined> {
  const path = join(scene.state.builder, 'index.db');
  if (!existsSync(path)) return undefined;
  const isInUse = (await ownerOf(scene.state.builder, scene)) !== undefined;
  return isInUse ? rowsOf(path) : rowsOfCopy(path);
}

/** Even a reader writes beside the file of a database that nobody has open: it brings its log in order. */
function rowsOfCopy(path: string): IndexRows {
  const directory = mkdtempSync(join(tmpdir(), 'snapstep-doctor-'));
  try {
    const copy = join(directory, 'index.db');
    copyFileSync(path, copy);
    if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
    return rowsOf(copy);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function rowsOf(path: string): IndexRows {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  try {
    const health = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    if (health !== 'ok') throw new Error(`${health}`);
    const rows = database.prepare('SELECT key, state FROM steps').all();
    return new Map(rows.map(({ key, state }) => [`${key}`, `${state}`]));
  } finally {
    database.close();
  }
}
