import { expect, it } from 'vitest';
import { inMacWorld, needsMacWorld } from './mac-world.ts';

needsMacWorld('steps as local users, with the tools of a Mac emulated', () => {
  it('get what the tests in world/steps.ts say', { timeout: 300_000 }, async () => {
    const { failures, passed } = await inMacWorld('steps.ts');
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(20);
  });
});
