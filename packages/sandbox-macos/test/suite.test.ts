import { expect, it } from 'vitest';
import { inMacWorld, needsMacWorld } from './mac-world.ts';

needsMacWorld('the promises of a sandbox, with the tools of a Mac emulated', () => {
  it('are kept', { timeout: 900_000 }, async () => {
    const { failures, passed } = await inMacWorld('suite.ts');
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(75);
  });
});
