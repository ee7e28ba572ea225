import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Fetcher, failed, ok, type Volume } from '@snapstep/core';
import { busyboxRootfs, needs, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { programsOf } from './programs.ts';

const STORE = 'docs/writing-a-store.md';
const SANDBOX = 'docs/writing-a-sandbox.md';

describe('the programs on the page about writing a store', () => {
  it('run the suite on this example, under the runner of Node', async () => {
    await using programs = await programsOf(STORE, {
      all: `
        import { openDirectoryStore } from '../../src/directory-store.ts';
        import { testStore } from './testStore.ts';
        testStore(openDirectoryStore);`,
    });
    const { stdout } = runTests(programs.path('all'), 'store: (lifecycle|isolation|caches)');
    expect(stdout).toMatch(/^# pass [1-9]\d+$/m);
    expect(stdout).toMatch(/^# fail 0$/m);
  });
  it('are what the crash suite kills', async () => {
    await using dir = await tempDir();
    await using programs = await programsOf(STORE, {
      all: `
        import { toHostPath } from '@snapstep/core/backend';
        import { openDirectoryStore } from '../../src/directory-store.ts';
        import { main } from './main.ts';
        await main((path) => openDirectoryStore(toHostPath(path)));`,
    });
    const args = [programs.path('all'), join(dir.path, 'store')];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    child.kill('SIGKILL');
    await exited;
    expect(line).toBe('saved 0');
  });
});

needs('root', 'busybox')('the programs on the page about writing a sandbox', () => {
  it('build with the sandbox of the page', async () => {
    await using dir = await tempDir();
    await using programs = await programsOf(SANDBOX);
    const { chrootSandbox } = await import(programs.path('chrootSandbox'));
    const { trySandbox } = await import(programs.path('trySandbox'));
    const key = await trySandbox(chrootSandbox(), busyboxFetcher(), join(dir.path, 'state'));
    expect(key).toMatch(/^[0-9a-f]{64}$/);
  });
  it('run the suite on the sandbox of the page, which breaks promises', async () => {
    await using programs = await programsOf(SANDBOX, { all: TEST_SANDBOX });
    const { stdout } = runTests(programs.path('all'), 'sandbox: (exits|mounts)');
    expect(stdout).toMatch(/^# pass [1-9]/m);
    expect(stdout).toMatch(/^# fail [1-9]/m);
    expect(stdout).toContain('broken promise: ');
  });
});

const TEST_SANDBOX = `
  import { mkdtemp } from 'node:fs/promises';
  import { join } from 'node:path';
  import { directoryVolume, toVolumeName } from '@snapstep/core/backend';
  import { busyboxRootfs, tempDir } from '@snapstep/test-support';
  import { chrootSandbox } from './chrootSandbox.ts';
  import { testSandbox } from './testSandbox.ts';
  const rootfs = toVolumeName('rootfs');
  testSandbox(async () => {
    const dir = await tempDir();
    const fresh = () => mkdtemp(join(dir.path, 'volume-'));
    return {
      sandbox: chrootSandbox(),
      async volumes() {
        const path = await fresh();
        await busyboxRootfs(path);
        return new Map([[rootfs, directoryVolume(rootfs, path)]]);
      },
      cache: async () => directoryVolume(toVolumeName('cache'), await fresh()),
      [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
    };
  });`;

/** Runs those tests of a file whose titles match. */
function runTests(file: string, pattern: string) {
  // Node's runner hands out a variable by which a run in a run would report to the outer one.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined };
  const args = ['--test', '--test-reporter=tap', `--test-name-pattern=${pattern}`, file];
  return spawnSync(process.execPath, args, { env, encoding: 'utf8' });
}

/** One image, of a static busybox. */
function busyboxFetcher(): Fetcher {
  return {
    pin: async (image) => ok({ ...image, digest: `sha256:${'0'.repeat(64)}` }),
    unpack: async (_image, into) => {
      const [volume] = into.values() as Iterable<Volume>;
      const mounted = await volume?.mount();
      if (mounted === undefined || mounted.isErr()) throw new Error('no volume', { cause: failed('mount') });
      await using root = mounted.value;
      await busyboxRootfs(root.path, ['sh', 'echo']);
      return ok({ env: {} });
    },
    [Symbol.asyncDispose]: async () => {},
  };
}
