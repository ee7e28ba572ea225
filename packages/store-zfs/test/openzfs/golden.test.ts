import { needs, zfsPool } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { difference, golden } from '../fake/golden.ts';

needs('root', 'openzfs')('OpenZFS', () => {
  it('answers as the fake of the quick tests does (T2, T4)', async () => {
    await using pool = await zfsPool({ sizeMiB: 512 });
    const differences: (string | undefined)[] = [];
    for (const probe of golden) {
      const [program = '', ...args] = probe.command.replaceAll('POOL', pool.name).split(' ');
      const options = { reject: false, stripFinalNewline: false, env: { LC_ALL: 'C' } } as const;
      const { exitCode, stdout, stderr } = await execa(program, args, options);
      differences.push(difference(probe, { exitCode, stdout, stderr }, pool.name));
    }
    expect(differences.filter((one) => one !== undefined)).toEqual([]);
  });
});
