import { needs } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { inMacWorld } from '../mac-world.ts';

needs('root', 'openzfs')('base images on OpenZFS, with the tools of a Mac emulated', () => {
  it('are what the tests in world/base-image-zfs.ts say', async () => {
    const { failures, passed } = await inMacWorld('base-image-zfs.ts');
    expect(failures).toEqual([]);
    expect(passed).toBe(6);
  });
});
