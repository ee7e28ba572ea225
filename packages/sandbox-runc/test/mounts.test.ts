import { execFile } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { err, ok } from '@snapstep/core/backend';
import { expectErr, expectOk } from '@snapstep/test-support';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Bench, openBench, processesWith, tracesOf, volumeAt, withEachRuntime } from './steps.ts';

const run = promisify(execFile);

withEachRuntime('mounts', (runtime) => {
  let bench: Bench;
  let cache: string;
  const secret = (target: string, value = 'hunter2') => ({ target, value: Buffer.from(value) });
  const path = (inside: string): string => join(bench.rootfs, inside);

  beforeAll(async () => {
    bench = await openBench({ runtime });
  });
  afterAll(() => bench[Symbol.asyncDispose]());
  beforeEach(async () => {
    cache = await mkdtemp(join(bench.dir, 'cache-'));
  });

  it('give a step its secrets, which it cannot change (S4)', async () => {
    const script =
      'cat /run/secrets/a; stat -c "%a %u:%g" /run/secrets/a; echo x >/run/secrets/a || echo kept';
    const output = await bench.outputOf(script, { secrets: [secret('/run/secrets/a')] });
    expect(output).toMatch(/^hunter2400 0:0\n.*\nkept\n$/);
  });

  it('let only the user of the step read a secret (S4)', async () => {
    const user = { uid: 1000, gid: 1000 };
    const output = await bench.outputOf('cat /s; stat -c " %a %u:%g" /s', { user, secrets: [secret('/s')] });
    expect(output).toBe('hunter2 400 1000:1000\n');
  });

  it('keep a secret on a tmpfs, and out of every process list (S3, X3)', async () => {
    const seen: string[] = [];
    const output = {
      async write() {
        seen.push(...(await processesWith('hunter2')));
        const { stdout } = await run('grep', ['-rl', 'hunter2', bench.dir]).catch((error) => error);
        const { stdout: kind } = await run('stat', ['-fc', '%T', String(stdout).trim()]);
        seen.push(kind.trim());
      },
    };
    await bench.outputOf('echo now; sleep 0.2', { secrets: [secret('/s')], output });
    expect(seen).toEqual(['tmpfs']);
    await expect(run('grep', ['-rl', 'hunter2', bench.dir])).rejects.toMatchObject({ code: 1 });
  });

  it('leave the same snapshot with and without a secret, a cache and our own files (S1)', async () => {
    for (const name of ['proc', 'sys', 'dev']) await rm(path(name), { recursive: true });
    await rm(path('run'), { recursive: true, force: true });
    await mkdir(path('opt'));
    await run('touch', ['-d', '2020-01-02 03:04:05.123456789', path('etc'), path('opt'), path('')]);
    const before = await listing(bench.rootfs);
    await bench.outputOf('cat /run/deep/er/s /etc/hosts /opt/s >/dev/null; touch /cache/at/x', {
      network: 'host',
      secrets: [secret('/run/deep/er/s'), secret('/opt/s'), secret('/etc/s')],
      mounts: [{ volume: volumeAt(cache), target: '/cache/at' }],
    });
    expect(await listing(bench.rootfs)).toEqual(before);
    expect(await readdir(cache)).toEqual(['x']);
    for (const name of ['proc', 'sys', 'dev']) await mkdir(path(name));
  });

  it('keep what the command does beside a mount point, and the time at which it did it (S1)', async () => {
    await mkdir(path('keep'));
    await utimes(path('keep'), 1, 1);
    await bench.outputOf('touch /keep/a/other /keep/mine', { secrets: [secret('/keep/a/s')] });
    expect(await readdir(path('keep'))).toEqual(['a', 'mine']);
    expect(await readdir(path('keep/a'))).toEqual(['other']);
    expect((await lstat(path('keep'))).mtimeMs).toBeGreaterThan(Date.now() - 60_000);
  });

  it('never follow a link out of the root file system (C2)', async () => {
    await symlink('/../../../..', path('out'));
    await symlink(bench.dir, path('abs'));
    const output = await bench.outputOf(`cat /out${bench.dir}/s /abs/t; ls ${bench.dir}`, {
      secrets: [secret(`/out${bench.dir}/s`, 'one '), secret('/abs/t', 'two ')],
    });
    expect(output).toBe('one two s\nt\n');
    await expect(lstat(join(bench.dir, 's'))).rejects.toThrow('ENOENT');
    await expect(lstat(path(bench.dir))).rejects.toThrow('ENOENT');
  });

  it('are not cleaned up through a link that the command put in their way (C10)', async () => {
    const victim = join(bench.dir, 'victim');
    await mkdir(join(victim, 'in'), { recursive: true });
    await writeFile(join(victim, 'in/s'), '');
    const { mtimeMs } = await lstat(join(victim, 'in'));
    const script = `mv /a /moved && ln -s ${'../'.repeat(9)}${victim} /a`;
    await bench.outputOf(script, { secrets: [secret('/a/in/s')] });
    expect(await readFile(join(victim, 'in/s'), 'utf8')).toBe('');
    expect((await lstat(join(victim, 'in'))).mtimeMs).toBe(mtimeMs);
    expect((await lstat(path('a'))).isSymbolicLink()).toBe(true);
  });

  it.each([
    ['mv /moved/a /moved/b', '/moved/a/s'],
    ['mv /moved/a "/moved/b c"; mv /moved/* /tmp/', '/moved/a/deep/er/s'],
  ])(
    'leave nothing behind where the command has renamed what is above them: %s (S1)',
    async (script, target) => {
      const lists: string[] = [];
      for (const secrets of [[], [secret(target)]]) {
        await mkdir(path('moved/a'), { recursive: true });
        await writeFile(path('moved/a/kept'), '');
        for (const name of ['moved/a/kept', 'moved/a']) await utimes(path(name), 1000, 1000);
        await bench.outputOf(script, { secrets });
        const lines = (await listing(bench.rootfs)).split('\n');
        lists.push(lines.filter((line) => !/^(moved|tmp)? d /.test(line)).join('\n'));
        for (const name of ['moved', 'tmp/b c']) await rm(path(name), { recursive: true, force: true });
      }
      expect(lists[1]).toBe(lists[0]);
      expect(lists[0]).toContain('/kept f');
    },
  );

  it('leave nothing behind where the command has renamed what was made for them (S1)', async () => {
    await bench.outputOf('mv /new/er /new/est; mv /new /newest', { secrets: [secret('/new/er/s')] });
    expect((await readdir(bench.rootfs)).filter((name) => name.startsWith('new'))).toEqual([]);
  });

  it('do not remove what the command made where the mount point was (C10)', async () => {
    const script = 'mv /b /elsewhere; mkdir -p /b/in; touch /b/in/s';
    await bench.outputOf(script, { secrets: [secret('/b/in/s')] });
    expect((await lstat(path('b/in/s'))).isFile()).toBe(true);
  });

  it('let programs in a cache run, and keep what is written (R10)', async () => {
    const mounts = [{ volume: volumeAt(cache), target: '/var/cache/x' }];
    const script =
      'printf "#!/bin/sh\\necho ran\\n" >/var/cache/x/tool; chmod +x /var/cache/x/tool; /var/cache/x/tool';
    expect(await bench.outputOf(script, { mounts })).toBe('ran\n');
    expect(await readdir(cache)).toEqual(['tool']);
  });

  it('let nobody write to a cache that is read-only (M13)', async () => {
    const mounts = [{ volume: volumeAt(cache), target: '/c', readOnly: true }];
    expect(await bench.outputOf('touch /c/x 2>/dev/null || echo kept', { mounts })).toBe('kept\n');
    expect(await readdir(cache)).toEqual([]);
  });

  it('may lie in one another, and leave nothing in the outer one', async () => {
    const inner = await mkdtemp(join(bench.dir, 'inner-'));
    await writeFile(join(inner, 'in'), 'inner ');
    const output = await bench.outputOf('cat /c/d/in /c/e/s; touch /c/out', {
      mounts: [
        { volume: volumeAt(inner), target: '/c/d' },
        { volume: volumeAt(cache), target: '/c' },
      ],
      secrets: [secret('/c/e/s')],
    });
    expect(output).toBe('inner hunter2');
    expect(await readdir(cache)).toEqual(['out']);
  });

  it('in a cache never follow a link of the cache', async () => {
    await symlink('/etc', join(cache, 'link'));
    const mounts = [{ volume: volumeAt(cache), target: '/c' }];
    const { result } = await bench.run('true', { mounts, secrets: [secret('/c/link/s')] });
    expect(expectErr(result)).toMatchObject({ message: expect.stringContaining('symbolic link') });
  });

  it('may replace a file that is there, and our own /etc/hosts', async () => {
    await writeFile(path('etc/there'), 'before');
    const secrets = [secret('/etc/there', 'a '), secret('/etc/hosts', 'b')];
    expect(await bench.outputOf('cat /etc/there /etc/hosts', { secrets })).toBe('a b');
    expect(await readFile(path('etc/there'), 'utf8')).toBe('before');
  });

  it("work below /dev, which is the container's own", async () => {
    expect(await bench.outputOf('cat /dev/secret', { secrets: [secret('/dev/secret')] })).toBe('hunter2');
    expect(await readdir(path('dev'))).toEqual([]);
  });

  it.each(['/proc/self/x', '/sys/x', '/', '/dev', '/etc'])('are refused at %s', async (target) => {
    const { result } = await bench.run('true', { secrets: [secret(target)] });
    expect(expectErr(result)).toMatchObject({ type: 'failed', message: expect.stringContaining(target) });
    expect(await tracesOf(bench.stateDir)).toEqual([]);
  });

  it('are all taken away when one of them fails', async () => {
    let open = 0;
    const counting = {
      ...volumeAt(cache),
      mount: async () => {
        open += 1;
        const mounted = expectOk(await volumeAt(cache).mount());
        const release = async (): Promise<void> => {
          open -= 1;
        };
        return ok({ ...mounted, [Symbol.asyncDispose]: release });
      },
    };
    const failing = { ...counting, mount: async () => err({ type: 'busy' as const, message: 'in use' }) };
    const { result } = await bench.run('true', {
      mounts: [
        { volume: counting, target: '/a' },
        { volume: failing, target: '/b' },
      ],
    });
    expect(expectErr(result)).toMatchObject({ type: 'failed', message: 'in use' });
    await bench.outputOf('true', { mounts: [{ volume: counting, target: '/a' }] });
    expect(open).toBe(0);
  });
});

/** Every path below a directory with what a snapshot keeps of it. */
async function listing(root: string): Promise<string> {
  const { stdout } = await run('find', [root, '-printf', '%P %y %m %U:%G %s %T@ %l\n']);
  return stdout.split('\n').sort().join('\n');
}
