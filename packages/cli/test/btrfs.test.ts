import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { btrfsVolume, needs } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { workplace } from './support.ts';

needs(
  'root',
  'busybox',
  'btrfs',
)('a store on Btrfs', () => {
  it('is built in, looked at, exported from and pruned like any other', async () => {
    await using disk = await btrfsVolume();
    await using place = await workplace(`btrfs:${join(disk.path, 'store')}`);
    const spec = await place.spec(
      'b.spec',
      '(run (cache (c (target /c))) (shell "echo hi > /hi")) (run (shell "cat /hi"))',
    );
    const built = await place.build(spec);
    expect(built.stderr).toContain('main 3/3 | hi\n');
    const again = await place.build(spec);
    expect(again.stdout).toBe(built.stdout);
    expect(again.stderr.match(/\| cached$/gm)).toHaveLength(3);
    const key = built.stdout.trim();
    expect(await place.snapstep(['export', key, 'out'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await readdir(join(place.path, 'out'))).toContain('hi');
    expect((await place.snapstep(['df'])).stdout).toMatch(/^metadata-bytes /m);
    expect(await place.snapstep(['cache', 'ls'])).toMatchObject({ stdout: 'c\n' });
    expect(await place.snapstep(['prune'])).toMatchObject({ exitCode: 0, stderr: '3 deleted\n' });
  });
});
