import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { toHostPath } from '@snapstep/core/backend';
import { busyboxRootfs, expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { openRuncSandbox } from '../src/index.ts';
import { cgroupRoots, openBench, processesWith, tracesOf, withEachRuntime } from './steps.ts';

withEachRuntime('the owner of a state directory', (runtime) => {
  it('may die at any moment: the next one leaves nothing of it (R1, B8, X2, X3)', async () => {
    await using dir = await tempDir();
    const { stateDir, rootfs } = await places(dir.path);
    // In the middle of a step, and then before and around its start.
    for (const wait of [undefined, 0, 30, 60, 120]) {
      const owner = start(stateDir, rootfs, { runtime, script: 'echo running; sleep 4251' });
      if (wait === undefined) await once(owner.stdout ?? owner, 'data');
      else await lockedBy(owner, stateDir).then(() => delay(wait));
      owner.kill('SIGKILL');
      await once(owner, 'exit');
      await using next = expectOk(await openRuncSandbox({ stateDir: toHostPath(stateDir), runtime }));
      expect(await processesWith('4251')).toEqual([]);
      expect(await tracesOf(stateDir)).toEqual([]);
      await next[Symbol.asyncDispose]();
      expect(await mountsBelow(dir.path)).toEqual([]);
      expect(await textBelow(stateDir)).not.toContain('swordfish');
    }
  });

  it('may die, and the name of its cgroups be lost: the next one ends what it left running all the same', async () => {
    await using dir = await tempDir();
    const { stateDir, rootfs } = await places(dir.path);
    const owner = start(stateDir, rootfs, { runtime, script: 'echo running; sleep 4252' });
    await once(owner.stdout ?? owner, 'data');
    const file = join(stateDir, 'identity');
    const name = `snapstep-${(await readFile(file, 'utf8')).trim()}`;
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    await writeFile(file, 'half');
    await using _next = expectOk(await openRuncSandbox({ stateDir: toHostPath(stateDir), runtime }));
    expect(await processesWith('4252')).toEqual([]);
    expect((await cgroupRoots()).filter((root) => existsSync(join(root, name)))).toEqual([]);
  });

  it('may die while it tries the cgroups out: the next one can, and leaves none (R1)', async () => {
    await using dir = await tempDir();
    const stateDir = toHostPath(join(dir.path, 'state'));
    await expectOk(await openRuncSandbox({ stateDir, runtime }))[Symbol.asyncDispose]();
    const identity = (await readFile(join(stateDir, 'identity'), 'utf8')).trim();
    const left = (await cgroupRoots()).map((root) => join(root, `snapstep-${identity}-probe`));
    for (const cgroup of left) await mkdir(cgroup).catch(() => {});
    await using next = expectOk(await openRuncSandbox({ stateDir, runtime }));
    expect(next.enforces).toContain('memoryBytes');
    const [tried = ''] = left.filter((cgroup) => cgroup.includes('devices') || left.length === 1);
    expect(existsSync(tried)).toBe(false);
    for (const cgroup of left) await rmdir(cgroup).catch(() => {});
  });

  it('is one at a time: a second is told who has it, and the first is unharmed (X7)', async () => {
    await using bench = await openBench({ runtime });
    const started = Promise.withResolvers<void>();
    const output = { write: async () => started.resolve() };
    const running = bench.run('echo go; sleep 1', { output });
    await started.promise;
    const second = await openRuncSandbox({ stateDir: toHostPath(bench.stateDir), runtime });
    expect(expectErr(second)).toMatchObject({
      type: 'failed',
      message: expect.stringContaining(`process ${process.pid}`),
    });
    expect(expectOk((await running).result)).toEqual({ type: 'exited', code: 0 });
  });

  it('takes everything along when it closes', async () => {
    const bench = await openBench({ runtime });
    await bench.outputOf('true');
    await bench.sandbox[Symbol.asyncDispose]();
    await bench.sandbox[Symbol.asyncDispose]();
    expect(await mountsBelow(bench.dir)).toEqual([]);
    expect(await tracesOf(bench.stateDir)).toEqual([]);
    expect(await readdir(join(bench.stateDir, 'run'))).toEqual([]);
    await bench[Symbol.asyncDispose]();
  });

  it('does not touch what belongs to another one (R2)', async () => {
    await using one = await openBench({ runtime });
    const started = Promise.withResolvers<void>();
    const running = one.run('echo go; sleep 1', { output: { write: async () => started.resolve() } });
    await started.promise;
    await using other = await openBench({ runtime });
    expect(await other.outputOf('echo fine')).toBe('fine\n');
    expect(expectOk((await running).result)).toEqual({ type: 'exited', code: 0 });
  });
});

needs('root', 'runc')('closing a sandbox', () => {
  it('says what it could not take away, and the next owner does', async () => {
    await using dir = await tempDir();
    const stateDir = toHostPath(join(dir.path, 'state'));
    const sandbox = expectOk(await openRuncSandbox({ stateDir, runtime: 'runc' }));
    const warned = once(process, 'warning');
    const { PATH } = process.env;
    try {
      process.env.PATH = '/no/programs';
      await sandbox[Symbol.asyncDispose]();
    } finally {
      process.env.PATH = PATH;
    }
    const [warning] = await warned;
    expect(warning.message).toMatch(/left something behind: .*umount/);
    expect(await mountsBelow(dir.path)).not.toEqual([]);
    await using next = expectOk(await openRuncSandbox({ stateDir, runtime: 'runc' }));
    await next[Symbol.asyncDispose]();
    expect(await mountsBelow(dir.path)).toEqual([]);
  });
});

needs('root', 'runc')('opening a sandbox', () => {
  it('fails where the runtime is not there, and names it', async () => {
    await using dir = await tempDir();
    const stateDir = toHostPath(join(dir.path, 'state'));
    expect(expectErr(await openRuncSandbox({ stateDir, runtime: 'no-such-runtime' }))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('"no-such-runtime" is not installed'),
    });
    // The directory is free again.
    await using sandbox = expectOk(await openRuncSandbox({ stateDir, runtime: 'runc' }));
    expect(sandbox.name).toBe('runc');
  });

  it('fails where its directory cannot be made, and says why', async () => {
    await using dir = await tempDir();
    await writeFile(join(dir.path, 'state'), 'in the way');
    const stateDir = toHostPath(join(dir.path, 'state/of/a/sandbox'));
    expect(expectErr(await openRuncSandbox({ stateDir, runtime: 'runc' }))).toMatchObject({
      type: 'failed',
      message: expect.stringMatching(/^cannot use .*state of the sandbox: ENOTDIR/),
    });
  });

  it('leaves nothing mounted where it fails half way', async () => {
    await using dir = await tempDir();
    const bin = join(dir.path, 'bin');
    await mkdir(bin);
    await writeFile(
      join(bin, 'mount'),
      '#!/bin/sh\ncase "$*" in *bind*) exit 1;; esac\nexec /bin/mount "$@"\n',
    );
    await chmod(join(bin, 'mount'), 0o755);
    const stateDir = toHostPath(join(dir.path, 'state'));
    const path = process.env.PATH;
    process.env.PATH = `${bin}:${path}`;
    try {
      expect(expectErr(await openRuncSandbox({ stateDir, runtime: 'runc' }))).toMatchObject({
        type: 'failed',
      });
    } finally {
      process.env.PATH = path;
    }
    expect(await mountsBelow(dir.path)).toEqual([]);
  });

  it('refuses fastSync where runc is too old to do it (B6)', async () => {
    await using dir = await tempDir();
    const old = join(dir.path, 'old-runc');
    await writeFile(old, '#!/bin/sh\necho "runc version 1.0.0-rc10"\n');
    await chmod(old, 0o755);
    const stateDir = toHostPath(join(dir.path, 'state'));
    const error = expectErr(await openRuncSandbox({ stateDir, runtime: old, fastSync: true }));
    expect(error).toMatchObject({ message: expect.stringContaining('1.0.0-rc92') });
    await using sandbox = expectOk(await openRuncSandbox({ stateDir, runtime: old }));
    // On cgroup v1 a runc without --keep leaves nothing to read an OOM kill from.
    if (await isVersion1()) expect(sandbox.enforces).not.toContain('memoryBytes');
  });
});

async function places(dir: string): Promise<{ stateDir: string; rootfs: string }> {
  const rootfs = join(dir, 'rootfs');
  await mkdir(rootfs);
  await busyboxRootfs(rootfs);
  return { stateDir: join(dir, 'state'), rootfs };
}

function start(
  stateDir: string,
  rootfs: string,
  options: { readonly runtime: string; readonly script: string },
): ChildProcess {
  const file = fileURLToPath(new URL('./owner.ts', import.meta.url));
  return spawn(process.execPath, [file, stateDir, rootfs, options.runtime, options.script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Resolves once the child owns the directory. */
async function lockedBy(child: ChildProcess, stateDir: string): Promise<void> {
  for (;;) {
    const pid = await readFile(join(stateDir, 'owner.pid'), 'utf8').catch(() => '');
    if (Number(pid) === child.pid) return;
    await new Promise(setImmediate);
  }
}

async function mountsBelow(dir: string): Promise<string[]> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  return mounts.split('\n').filter((line) => line.includes(dir));
}

async function textBelow(dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return (
    await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), 'latin1')))
  ).join();
}

async function isVersion1(): Promise<boolean> {
  return (await readFile('/proc/self/mounts', 'utf8')).includes(' cgroup rw');
}
