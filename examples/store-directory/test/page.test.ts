import { globSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { directoryVolume, type Sandbox, toHostPath, toVolumeName } from '@snapstep/core/backend';
import { busyboxRootfs, collectLog, expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { openDirectoryStore } from '../src/directory-store.ts';
import { blocks, programsOf, read } from './programs.ts';

const root = join(import.meta.dirname, '../../..');
const rootfs = toVolumeName('rootfs');

describe('the page about writing a store', () => {
  it('quotes this example, line by line', () => {
    const sources = globSync('examples/store-directory/src/*.ts', { cwd: root }).map(read);
    const quotes = blocks('docs/writing-a-store.md', 'typescript');
    expect(quotes.length).toBeGreaterThan(3);
    for (const quote of quotes) {
      expect(sources.filter((source) => source.includes(quote)).length, quote).toBe(1);
    }
  });
  it('has a program that builds with this example', async () => {
    await using dir = await tempDir();
    await using store = expectOk(await openDirectoryStore(toHostPath(join(dir.path, 'store'))));
    await using programs = await programsOf('docs/writing-a-store.md');
    const { tryStore } = await import(programs.path('tryStore'));
    await tryStore(store, join(dir.path, 'state'));
    expect(expectOk(await store.list()).length).toBe(2);
  });
});

needs('root', 'busybox')('the sandbox on the page about writing one', () => {
  it('runs commands, in order, with nothing but their environment', async () => {
    const text = 'echo one; echo two >&2; pwd; id -u; echo $A; exit 3';
    const { exit, output } = await runOnPage(text);
    expect(output).toBe('one\ntwo\n/work\n1000\nb\n');
    expect(expectOk(exit)).toEqual({ type: 'exited', code: 3 });
  });
  it('ends what moved to a session of its own, with the command and when it is aborted', async () => {
    const { exit } = await runOnPage('setsid sleep 1000 <&- & echo started');
    expect(expectOk(exit)).toEqual({ type: 'exited', code: 0 });
    const controller = new AbortController();
    const script = 'setsid sleep 1000 <&- & echo started; sleep 1000';
    const aborted = await runOnPage(script, { controller });
    expect(expectErr(aborted.exit)).toMatchObject({ type: 'cancelled', reason: 'enough' });
  });
});

/** @param options - What is aborted at the first output. */
async function runOnPage(
  script: string,
  { controller }: { readonly controller?: AbortController } = {},
): Promise<{ readonly exit: Awaited<ReturnType<Sandbox['run']>>; readonly output: string }> {
  await using dir = await tempDir();
  const files = join(dir.path, 'rootfs');
  await mkdir(files);
  await busyboxRootfs(files, ['echo', 'id', 'pwd', 'setsid', 'sh', 'sleep']);
  await using programs = await programsOf('docs/writing-a-sandbox.md');
  const { chrootSandbox } = await import(programs.path('chrootSandbox'));
  const sandbox: Sandbox = chrootSandbox();
  const log = collectLog();
  const exit = await sandbox.run(
    {
      argv: ['/bin/sh', '-c', script],
      cwd: '/work',
      env: { PATH: '/bin', A: 'b' },
      user: { uid: 1000, gid: 1000 },
      network: 'none',
      limits: {},
      volumes: new Map([[rootfs, directoryVolume(rootfs, files)]]),
      mounts: [],
      secrets: [],
      output: {
        async write(chunk) {
          await log.write(chunk);
          controller?.abort('enough');
        },
      },
      signal: controller?.signal ?? new AbortController().signal,
    },
    {},
  );
  return { exit, output: log.text() };
}
