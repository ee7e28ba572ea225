import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';

/** Gives back one descriptor after the other, and runs a command each time. */
const PROGRAM = `
  import { closeSync, openSync } from 'node:fs';
  import { runCommand } from ${JSON.stringify(join(import.meta.dirname, '../../src/backend/index.ts'))};
  process.on('unhandledRejection', (reason) => console.log('unhandled', reason));
  await runCommand('true', []);
  const held = [];
  try {
    for (;;) held.push(openSync('/dev/null', 'r'));
  } catch {}
  for (let free = 0; free < 30; free += 1) {
    const result = await runCommand('true', []);
    console.log(result.isOk() ? 'ok' : result.error.message);
    closeSync(held.pop());
  }`;

it('a command that cannot be started for want of descriptors fails, and takes none away for ever', async () => {
  await using dir = await tempDir();
  const program = join(dir.path, 'program.mjs');
  await writeFile(program, PROGRAM);
  const node = [process.execPath, ...process.execArgv, program];
  const { stdout } = await execa('sh', ['-c', 'ulimit -n 100; exec "$@"', 'sh', ...node]);
  const lines = stdout.split('\n');
  expect(lines).toHaveLength(30);
  expect(lines[0]).toBe('"true" cannot be started: too many open files (EMFILE)');
  expect(lines.at(-1)).toBe('ok');
  expect(lines.filter((line) => line !== 'ok').length).toBeLessThan(20);
});
