import { type BigIntStats, lstatSync } from 'node:fs';
import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { toHostPath } from '../../src/index.ts';
import { HashCache } from '../../src/plan/hash-cache.ts';

const NOW = Date.parse('2026-03-04T05:06:07.900Z');
const SHA256 = 'a'.repeat(64);

describe('the hash of a file', () => {
  it.each([
    ['a moment before', '2026-03-04T05:06:07.850Z', false],
    ['a fifth of a second before', '2026-03-04T05:06:07.700Z', true],
    ['in the same second, on a disk that keeps whole seconds', '2026-03-04T05:06:07.000Z', false],
    ['in the second before, on a disk that keeps every other one', '2026-03-04T05:06:06.000Z', false],
    ['seconds before, on a disk that keeps whole ones', '2026-03-04T05:06:05.000Z', true],
  ])('that changed %s is kept only if another change would show [K5] [K7]', async (_, changed, isKept) => {
    await using place = await openCache();
    const stat = place.statOf(changed);
    place.cache.remember(stat, SHA256, NOW);
    place.cache.flush();
    expect(place.cache.find(stat)).toBe(isKept ? SHA256 : undefined);
  });

  it('is not kept where the reading began a moment after the change, however long it took [K5]', async () => {
    await using place = await openCache();
    const stat = place.statOf(new Date(Date.now() - 10_000));
    place.cache.remember(stat, SHA256, Date.now() - 9_950);
    place.cache.flush();
    expect(place.cache.find(stat)).toBeUndefined();
  });
});

async function openCache(): Promise<
  AsyncDisposable & { readonly cache: HashCache; readonly statOf: (changed: string | Date) => BigIntStats }
> {
  const dir = await tempDir();
  const cache = HashCache.open(toHostPath(dir.path));
  return {
    cache,
    statOf: (changed) => {
      const milliseconds = BigInt(new Date(changed).getTime());
      const nanoseconds = milliseconds * 1_000_000n;
      return Object.assign(lstatSync(dir.path, { bigint: true }), {
        ...{ ctimeMs: milliseconds, mtimeMs: milliseconds },
        ...{ ctimeNs: nanoseconds, mtimeNs: nanoseconds },
      });
    },
    [Symbol.asyncDispose]: async () => {
      cache[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}
