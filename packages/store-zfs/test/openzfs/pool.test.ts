import { needs, zfsPool } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';

needs('root', 'openzfs')('a pool', () => {
  it('is made and destroyed', async () => {
    let name: string;
    {
      await using pool = await zfsPool();
      name = pool.name;
      expect((await execa('zpool', ['list', '-H', '-o', 'health', name])).stdout).toBe('ONLINE');
    }
    const gone = await execa('zpool', ['list', name], { reject: false });
    expect(gone.stderr).toContain('no such pool');
  });
});
