import { writeFileSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { btrfsVolume, needs } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { DiskProbe } from '../../src/backend/disk-room.ts';

const MIB = 1024 * 1024;

needs('root', 'btrfs')('a look at a disk', () => {
  it('sees that Btrfs has no metadata left, though bytes are free', async () => {
    await using disk = await btrfsVolume({ sizeMiB: 128 });
    const probe = new DiskProbe(disk.path);
    const before = probe.look();
    expect(before?.metadata?.free).toBeGreaterThan(16 * MIB);
    // What was once given to data is not given to metadata.
    await writeFile(join(disk.path, 'data'), Buffer.alloc(40 * MIB), { flush: true });
    await truncate(join(disk.path, 'data'), MIB);
    // Files of 2 KiB are kept in the metadata.
    const content = Buffer.alloc(2000, 'x');
    const fill = (): void => {
      for (let i = 0; ; i += 1) writeFileSync(join(disk.path, `${i}`), content);
    };
    expect(fill).toThrow('ENOSPC');
    const after = probe.look();
    expect(after?.metadata?.free).toBeLessThan(8 * MIB);
    expect(after?.bytes.free).toBeGreaterThan(0);
  });
});
