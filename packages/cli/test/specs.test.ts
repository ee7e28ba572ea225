import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasComments } from '../src/has-comments.ts';
import { specFailure } from '../src/spec-source.ts';
import { MAIN } from './support.ts';

const CANONICAL = '((from busybox)\n (run (shell "make all")))\n';

describe('the commands on specs', () => {
  let dir: Awaited<ReturnType<typeof tempDir>>;
  beforeAll(async () => {
    dir = await tempDir();
  });
  afterAll(() => dir[Symbol.asyncDispose]());

  const write = async (name: string, text: string) => {
    await writeFile(join(dir.path, name), text);
    return name;
  };
  const snapstep = async (...args: readonly string[]) => {
    const options = { reject: false, cwd: dir.path, stripFinalNewline: false } as const;
    const { exitCode, stdout, stderr } = await execa(process.execPath, [MAIN, ...args], options);
    return { exitCode, stdout, stderr };
  };

  it('check is silent about a spec that is right, and points at what is wrong', async () => {
    const good = await write('good.spec', CANONICAL);
    expect(await snapstep('check', '-f', good)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    const bad = await write('bad.spec', '((from busybox)\n (rnu (shell "é")))\n');
    const checked = await snapstep('check', good, bad);
    expect(checked).toMatchObject({ exitCode: 2, stdout: '' });
    expect(checked.stderr).toMatch(
      /^bad\.spec:2:3: .*did you mean "run"\?\n {3}\(rnu \(shell "é"\)\)\)\n {4}\^\n$/,
    );
  });

  it('check and fmt do all files, tell each problem, and exit with the code of the worst', async () => {
    const good = await write('good.spec', CANONICAL);
    const bad = await write('bad.spec', '((from busybox)\n (rnu))\n');
    const worse = await write('worse.spec', '((from busybox)\n (cpy))\n');
    const messy = await write('messy.spec', '((from   busybox)(run (shell "make all")))');
    const told = /^bad\.spec:2:3: .*\n.*\n.*\n.*nowhere\.spec.*\nworse\.spec:2:3: .*\n.*\n.*\n$/;
    const checked = await snapstep('check', bad, 'nowhere.spec', good, worse);
    expect(checked).toMatchObject({ exitCode: 2, stdout: '' });
    expect(checked.stderr).toMatch(told);
    const compared = await snapstep('fmt', '--check', bad, 'nowhere.spec', messy, worse, good);
    expect(compared).toMatchObject({ exitCode: 2, stdout: 'messy.spec\n' });
    expect(compared.stderr).toMatch(told);
    expect(await snapstep('fmt', '--write', bad, messy)).toMatchObject({ exitCode: 2 });
    expect(await readFile(join(dir.path, messy), 'utf8')).toBe(CANONICAL);
  });

  it('check wants a file', async () => {
    expect(await snapstep('check')).toMatchObject({ exitCode: 2 });
    const missing = await snapstep('check', 'nowhere.spec');
    expect(missing).toMatchObject({ exitCode: 2 });
    expect(missing.stderr).toContain('nowhere.spec');
  });

  it('fmt prints, checks and writes the canonical layout, and keeps the mode of a file', async () => {
    const messy = await write('messy.spec', '((from   busybox)(run (shell "make all")))');
    await chmod(join(dir.path, messy), 0o640);
    expect(await snapstep('fmt', messy)).toEqual({ exitCode: 0, stdout: CANONICAL, stderr: '' });
    expect(await snapstep('fmt', '--check', messy)).toEqual({
      exitCode: 1,
      stdout: 'messy.spec\n',
      stderr: '',
    });
    expect(await snapstep('fmt', '--write', '-f', messy)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await readFile(join(dir.path, messy), 'utf8')).toBe(CANONICAL);
    expect((await stat(join(dir.path, messy))).mode & 0o777).toBe(0o640);
    expect(await snapstep('fmt', '--check', messy)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  });

  it('fmt does not throw comments away', async () => {
    const text = '((from busybox) ; the small one\n)';
    const commented = await write('commented.spec', text);
    const refused = await snapstep('fmt', '--write', commented);
    expect(refused).toMatchObject({ exitCode: 2 });
    expect(refused.stderr).toContain('comments would be lost');
    expect(await readFile(join(dir.path, commented), 'utf8')).toBe(text);
    expect(await snapstep('fmt', '--write', '--check', commented)).toMatchObject({ exitCode: 2 });
  });

  it('dockerfile prints a Dockerfile, and on standard error what it cannot say', async () => {
    const spec = await write(
      'docker.spec',
      '((from debian)\n (run (cache (apt (target /var/cache/apt))) (network host) (shell "apt update")))\n',
    );
    const plain = await snapstep('dockerfile', '-f', spec);
    expect(plain.exitCode).toBe(0);
    expect(plain.stdout).toMatch(/^FROM debian\n(.*\n)*RUN apt update\n/);
    expect(plain.stderr).toMatch(/^lost: .*caches/m);
    const buildkit = await snapstep('dockerfile', '-f', spec, '--buildkit');
    expect(buildkit.stdout).toContain('--mount=type=cache,id=apt,target=/var/cache/apt');
    expect(buildkit.stderr).not.toContain('caches');
    expect((await snapstep('dockerfile', '-f', spec, '--escape', '`')).stdout).toContain('escape=`');
    expect(await snapstep('dockerfile', '-f', spec, '--escape', 'x')).toMatchObject({ exitCode: 2 });
  });
});

describe('what is wrong with a spec', () => {
  it('is pointed at below the character, counted in bytes, however wide characters are', () => {
    const { message } = specFailure({ message: 'no', line: 1, column: 7 }, { file: 'f', text: '\t漢é(x)' });
    expect(message).toBe(`f:1:7: no\n      漢é(x)\n${' '.repeat(9)}^`);
  });

  it('is shown with a part of a long line', () => {
    const text = `${'a'.repeat(500)}!${'b'.repeat(500)}`;
    const { message } = specFailure({ message: 'no', line: 1, column: 501 }, { file: 'f', text });
    const [, line = '', caret = ''] = message.split('\n');
    expect(line.length).toBeLessThan(140);
    expect(line[caret.indexOf('^')]).toBe('!');
  });

  it('is shown without the control characters of the line', () => {
    const { message } = specFailure({ message: 'no', line: 1, column: 1 }, { file: 'f', text: '\u001b[2Jx' });
    expect(message).toBe('f:1:1: no\n  x\n  ^');
  });
});

describe('the comments of a spec', () => {
  it.each(['((from a)) ; x', '#| x |# ((from a))', '((from a) #;(env A B))'])('are found in %s', (text) => {
    expect(hasComments(text)).toBe(true);
  });

  it.each(['((from "a;b"))', '((from a#b|c))', '((from "\\"; #| "))'])('are not seen in %s', (text) => {
    expect(hasComments(text)).toBe(false);
  });
});
