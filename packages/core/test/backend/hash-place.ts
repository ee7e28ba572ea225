import { type BigIntStats, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { tempDir } from '@snapstep/test-support';
import { HashCache, type Sharing } from '../../src/backend/hash-cache.ts';
import { toHostPath } from '../../src/index.ts';

export const NOW: number = Date.parse('2026-03-04T05:06:07.900Z');
export const SHA256: string = 'a'.repeat(64);
/** Enough for several pages. */
export const ROWS = 300;

/** A cache in a directory of its own. */
export async function openCache(sharing: Sharing = {}) {
  const dir = await tempDir();
  const open = () => HashCache.open(toHostPath(dir.path), sharing);
  let cache = open();
  const file = join(dir.path, 'hashes.db');
  const remember = (name: string): BigIntStats => {
    const stat = settledAt(dir.path);
    cache.remember(name, { stat, sha256: SHA256, readAt: NOW });
    return stat;
  };
  const keep = (name: string): BigIntStats => {
    const stat = remember(name);
    cache.flush();
    return stat;
  };
  return {
    ...{ file, remember, keep },
    get cache() {
      return cache;
    },
    statOf: (changed: string | Date) => statAt(dir.path, changed),
    fill: () => Array.from({ length: ROWS }, (_, i) => keep(`f-${i}`))[0] as BigIntStats,
    close: () => cache[Symbol.dispose](),
    reopen: () => {
      cache[Symbol.dispose]();
      cache = open();
    },
    sql: (text: string) => {
      using db = new DatabaseSync(file);
      db.exec(text);
    },
    [Symbol.asyncDispose]: async () => {
      cache[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const stats = new Map<string, BigIntStats>();

/** A file that changed long enough before `NOW` for its hash to be kept. */
export function settledAt(path: string): BigIntStats {
  return statAt(path, '2026-03-04T05:06:07.700Z');
}

/** A file that changed at a certain time: always the same one of a directory. */
function statAt(path: string, changed: string | Date): BigIntStats {
  const milliseconds = BigInt(new Date(changed).getTime());
  const nanoseconds = milliseconds * 1_000_000n;
  const stat = stats.get(path) ?? lstatSync(path, { bigint: true });
  stats.set(path, stat);
  return Object.assign(Object.create(stat), {
    ...{ ctimeMs: milliseconds, mtimeMs: milliseconds },
    ...{ ctimeNs: nanoseconds, mtimeNs: nanoseconds },
  });
}
