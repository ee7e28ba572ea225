import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Scene } from './scene.ts';

/** What the index says of each step: `saved`, or a state that promises nothing. */
export type IndexRows = ReadonlyMap<string, string>;

/** How often a copy is made anew because a running builder wrote meanwhile. */
const TRIES = 20;

/**
 * Reads the index of a builder, which may be running; undefined if there is none yet. It is a copy that is read: a
 * builder lets nobody else open its index, and who reads one that nobody has open writes beside it.
 *
 * @throws What SQLite says of a damaged file.
 */
export function readIndexRows(scene: Scene): IndexRows | undefined {
  const path = join(scene.state.builder, 'index.db');
  if (!existsSync(path)) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'snapstep-doctor-'));
  try {
    const copy = join(directory, 'index.db');
    copyAtRest(path, copy);
    return rowsOf(copy);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Copies a database with its log, as they are while nobody writes to them. */
function copyAtRest(path: string, copy: string): void {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const before = stampOf(path);
    for (const suffix of ['-wal', '']) {
      if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
    }
    if (stampOf(path) === before) return;
  }
}

function stampOf(path: string): string {
  const stats = [path, `${path}-wal`].map((file) => statSync(file, { bigint: true, throwIfNoEntry: false }));
  return stats.map((stat) => `${stat?.size} ${stat?.mtimeNs}`).join(' ');
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
