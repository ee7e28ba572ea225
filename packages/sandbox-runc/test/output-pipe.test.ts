import { join } from 'node:path';
import { needs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';

const CHILD = join(import.meta.dirname, 'output-pipe-child.ts');

needs('root')('the output of a command, in a process that has too many files open', () => {
  // A program that could not be started was told by an event that nobody listened to, which ended the process.
  it('cannot be read, which is a failure of the step; the process goes on, and leaves no file open', async () => {
    await using dir = await tempDir();
    const { stdout } = await execa('sh', [
      '-c',
      'ulimit -n 100; exec "$0" "$@"',
      process.execPath,
      CHILD,
      dir.path,
    ]);
    const { tries, stray, left } = JSON.parse(stdout);
    expect(stray).toEqual([]);
    expect(left).toEqual([]);
    expect(tries[0]).toMatch(/^EMFILE/);
    expect(tries).toContainEqual(expect.stringMatching(/^cannot start the program .*: spawn cat EMFILE$/));
    expect(tries.at(-1)).toBe('opened');
  });
});
