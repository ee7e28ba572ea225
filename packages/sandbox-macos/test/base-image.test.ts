import { expect, it } from 'vitest';
import { inMacWorld, needsMacWorld } from './mac-world.ts';

needsMacWorld('base images, made by a local user with the tools of a Mac emulated', () => {
  it('are what the tests in world/base-image.ts say', { timeout: 300_000 }, async () => {
    const { failures, passed } = await inMacWorld('base-image.ts');
    expect(failures).toEqual([]);
    expect(passed).toBe(4);
  });
});
