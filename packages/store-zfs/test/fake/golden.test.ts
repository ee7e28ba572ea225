import { describe, expect, it } from 'vitest';
import { run } from './fake-commands.ts';
import { difference, golden } from './golden.ts';
import { emptyPool } from './pool.ts';

describe('the fake zfs', () => {
  it('answers as OpenZFS does, as far as was looked (T2, T4)', () => {
    const pool = emptyPool('tank');
    const differences = golden.map((probe) => {
      const { code, ...printed } = run(pool, probe.command.replaceAll('POOL', 'tank').split(' '));
      return difference(probe, { exitCode: code, ...printed }, 'tank');
    });
    expect(differences.filter((one) => one !== undefined)).toEqual([]);
  });

  it.each([
    'zfs diff tank@a',
    'zfs list tank',
    'zfs destroy -R tank',
    'zfs set tank',
    'zfs snapshot -z tank@a',
  ])('refuses "%s", which nobody compared with OpenZFS', (line) => {
    expect(run(emptyPool('tank'), line.split(' '))).toMatchObject({ code: 2, stdout: '' });
  });
});
