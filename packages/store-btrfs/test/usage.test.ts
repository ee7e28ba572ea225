import { readFile } from 'node:fs/promises';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { parseUsage } from '../src/usage.ts';

const GIB = 1024 ** 3;

describe('parseUsage', () => {
  it.each(['fresh-dup', 'single', 'raid1', 'raid10', 'mixed', 'full'])(
    'never says that more is used than there is: %s (B3)',
    async (name) => {
      const axes = expectOk(parseUsage(await fixture(name)));
      for (const { used, total = Number.NaN } of axes) {
        expect(used).toBeGreaterThanOrEqual(0);
        expect(used).toBeLessThanOrEqual(total);
      }
    },
  );
  it('counts what is not allocated yet as free (B3)', async () => {
    expect(await axes('fresh-dup')).toEqual([
      { axis: 'bytes', used: expect.toSatisfy((used: number) => used < 0.02 * GIB), total: near(3.48 * GIB) },
      { axis: 'metadata-bytes', used: expect.any(Number), total: near(1.79 * GIB) },
    ]);
  });
  it('counts bytes once that are kept twice (B3)', async () => {
    // Two disks of 1 GiB with 300 MiB of data.
    const [bytes, metadata] = await axes('raid1');
    expect(bytes).toEqual({ axis: 'bytes', used: 314_572_800, total: 314_572_800 + 643_432_448 });
    expect(metadata?.total).toBe(107_347_968 + 828_899_328 / 2);
  });
  it('has no metadata to tell where data and metadata share their space', async () => {
    expect(await axes('mixed')).toEqual([
      { axis: 'bytes', used: 52_523_008, total: 52_523_008 + 210_276_352 },
    ]);
  });
  it('says that the disk is full when it is', async () => {
    expect((await axes('full'))[0]).toEqual({ axis: 'bytes', used: 229_638_144, total: 229_638_144 });
  });
  it('says that metadata run out although 40 % of the data are free (B2)', async () => {
    const [bytes, metadata] = expectOk(parseUsage(metadataFull));
    expect((bytes?.used ?? 0) / (bytes?.total ?? 0)).toBeLessThan(0.61);
    expect((metadata?.used ?? 0) / (metadata?.total ?? 0)).toBeGreaterThan(0.9);
  });
  it('adds up the profiles while a file system is being converted', async () => {
    const text = (await fixture('single')).replace(
      '\nUnallocated',
      '\nData,RAID1: Size:1000, Used:500 (50.00%)\n\nUnallocated',
    );
    const [before] = await axes('single');
    expect(expectOk(parseUsage(text))[0]?.used).toBe((before?.used ?? 0) + 500);
  });
  it.each(['', 'ERROR: not a btrfs filesystem', 'Data,single: Size:1, Used:1 (1%)'])(
    'refuses what it does not understand: "%s"',
    (text) => {
      expect(expectErr(parseUsage(text)).message).toContain('cannot be understood');
    },
  );
  it('refuses numbers with units', async () => {
    const text = (await fixture('single')).replace(/(Device unallocated:\s+)\d+/, '$11.00GiB');
    expect(expectErr(parseUsage(text)).type).toBe('failed');
  });
});

/** In the shape of the real ones: 100 GiB, all allocated, data 60 % full, metadata nearly. */
const metadataFull = `Overall:
    Device unallocated:		           1048576
    Free (estimated):		       41875931136	(min: 41875931136)
    Metadata ratio:		              2.00
    Global reserve:		         536870912	(used: 0)

Data,single: Size:104689827840, Used:62813896704 (60.00%)
   /dev/sdx	104689827840

Metadata,DUP: Size:1342177280, Used:805306368 (60.00%)
   /dev/sdx	2684354560
`;

async function axes(name: string) {
  return expectOk(parseUsage(await fixture(name)));
}

function fixture(name: string): Promise<string> {
  return readFile(new URL(`./fixtures/${name}.txt`, import.meta.url), 'utf8');
}

function near(expected: number): unknown {
  return expect.toSatisfy((value: number) => Math.abs(value - expected) < expected * 0.05);
}
