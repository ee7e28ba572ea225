import { execFileSync, spawn } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { lockDirectory, toHostPath } from '@snapstep/core/backend';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, test } from 'vitest';
import { openOciFetcher } from '../src/index.ts';
import { openScratch } from '../src/scratch.ts';

describe('the state directory', () => {
  test('is cleared of the temporary files of processes that died, and of no others', async () => {
    await using dir = await tempDir();
    const stale = join(dir.path, 'tmp/stale');
    const alive = join(dir.path, 'tmp/alive');
    await mkdir(join(stale, 'pull-1/layout'), { recursive: true });
    await mkdir(alive);
    await using _lock = expectOk(await lockDirectory(toHostPath(alive)));
    await using _fetcher = expectOk(await openOciFetcher({ stateDir: toHostPath(dir.path) }));
    const left = await readdir(join(dir.path, 'tmp'));
    expect(left).toEqual(['alive']);
  });

  test('is cleared after a process that was killed', async () => {
    await using dir = await tempDir();
    const temporary = join(dir.path, 'tmp');
    const program = `
      const { openScratch } = await import(${JSON.stringify(join(import.meta.dirname, '../src/scratch.ts'))});
      const scratch = await openScratch(${JSON.stringify(temporary)});
      await scratch.directory();
      console.log('open');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(await readdir(temporary)).toHaveLength(1);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    await using _fetcher = expectOk(await openOciFetcher({ stateDir: toHostPath(dir.path) }));
    expect(await readdir(temporary)).toEqual([]);
  });

  test('may be shared by fetchers, and is empty of temporary files after them', async () => {
    await using dir = await tempDir();
    const stateDir = toHostPath(dir.path);
    const fetchers = await Promise.all([1, 2, 3, 4].map(() => openOciFetcher({ stateDir })));
    for (const each of fetchers) await expectOk(each)[Symbol.asyncDispose]();
    const scratches = await Promise.all([1, 2, 3, 4].map(() => openScratch(join(dir.path, 'tmp'))));
    const taken = await Promise.all(scratches.flatMap((each) => [each.directory(), each.directory()]));
    const directories = taken.map((each) => expectOk(each));
    expect(await readdir(join(dir.path, 'tmp'))).toHaveLength(4);
    for (const each of [...directories, ...scratches]) await each[Symbol.asyncDispose]();
    expect(await readdir(join(dir.path, 'tmp'))).toEqual([]);
  });

  test('that cannot be made is a failure that names it', async () => {
    const opened = await openOciFetcher({ stateDir: toHostPath('/dev/null/here') });
    expect(expectErr(opened)).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('/dev/null/here'),
    });
  });

  test('is for nobody else to read', async () => {
    await using dir = await tempDir();
    await using _fetcher = expectOk(await openOciFetcher({ stateDir: toHostPath(join(dir.path, 'a/b')) }));
    expect(execFileSync('stat', ['-c', '%a', join(dir.path, 'a/b')], { encoding: 'utf8' }).trim()).toBe(
      '700',
    );
  });
});
