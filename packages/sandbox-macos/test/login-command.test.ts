import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LoginCommand, suArguments } from '../src/login-command.ts';

const PATH = '/usr/bin:/bin';

async function output(command: Omit<LoginCommand, 'user'>): Promise<string> {
  return (await execa('su', suArguments({ user: 'root', ...command }), { stripFinalNewline: false })).stdout;
}

needs('root')('a command through su', () => {
  it('gets its arguments and variables as they are, whatever they hold', { timeout: 120_000 }, async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((one) => !one.includes('\0'));
    await fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 4 }), text, async (args, value) => {
        const printed = await output({
          argv: ['printf', '%s|', '$X "\'`', ...args],
          cwd: '/',
          env: { PATH },
        });
        expect(printed).toBe(['$X "\'`', ...args].map((arg) => `${arg}|`).join(''));
        expect(await output({ argv: ['printenv', 'V'], cwd: '/', env: { PATH, V: value } })).toBe(
          `${value}\n`,
        );
      }),
      { numRuns: 25 },
    );
  });

  it('runs in its directory, and reports its exit', async () => {
    await using dir = await tempDir();
    const cwd = join(dir.path, "it's a directory");
    await mkdir(cwd);
    const report = join(dir.path, 'exit');
    const printed = await output({ argv: ['sh', '-c', 'pwd; echo $A'], cwd, report, env: { A: 'a', PATH } });
    expect(printed).toBe(`${cwd}\na\n`);
    expect(await readFile(report, 'utf8')).toBe('0\n');
  });

  it('may have "=" in its name, and any name of a variable', async () => {
    await using dir = await tempDir();
    const program = join(dir.path, 'a=b');
    await writeFile(program, '#!/bin/sh\necho ran', { mode: 0o755 });
    expect(await output({ argv: [program], cwd: '/', env: {} })).toBe('ran\n');
    const printed = await output({
      argv: ['env'],
      cwd: '/',
      env: { PATH, 'A-B': '1', UID: '5', count: '7' },
    });
    expect(printed.split('\n')).toEqual(expect.arrayContaining(['A-B=1', 'UID=5', 'count=7']));
  });

  it('gives its exit code, and 125 where its directory is not there', async () => {
    const code = async (command: Omit<LoginCommand, 'user'>): Promise<number | undefined> =>
      (await execa('su', suArguments({ user: 'root', ...command }), { reject: false })).exitCode;
    expect(await code({ argv: ['sh', '-c', 'exit 7'], cwd: '/', env: { PATH } })).toBe(7);
    expect(await code({ argv: ['true'], cwd: '/no/such/directory', env: {} })).toBe(125);
  });
});

describe('what no shell could take', () => {
  it('is refused', () => {
    const command = { user: 'mac1000', argv: ['true'], cwd: '/' } as const;
    expect(() => suArguments({ ...command, env: { 'A=B': '1' } })).toThrow(
      '"A=B" cannot be the name of a variable',
    );
    expect(() => suArguments({ ...command, env: { A: 'x\0y' } })).toThrow('NUL');
  });
});
