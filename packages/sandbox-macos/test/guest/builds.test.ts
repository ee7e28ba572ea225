import { createHook } from 'node:async_hooks';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand, toHostPath, toVolumeName } from '@snapstep/core/backend';
import { expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { build, mountsOf, openMacBuilder, users } from './support/mac-builder.ts';

const run = (command: string, options = ''): string =>
  `(run (network host) ${options} (shell ${JSON.stringify(command)}))`;
const spec = (...ops: readonly string[]): string => `((from base) ${ops.join(' ')})`;
const BUSY = 120_000;

needs('root', 'openzfs')('builds on OpenZFS as local users, with the tools of a Mac emulated', () => {
  it('runs two steps, and neither a process nor a mount for them when they are cached (Z8)', async () => {
    await using mac = await openMacBuilder({ users: users.slice(0, 1) });
    const text = spec(
      run('id -un; echo one >~/one; echo x >/opt/homebrew/x'),
      run('cat ~/one /opt/homebrew/x'),
    );
    const first = await build(mac, text);
    expect(expectOk(first.result).snapshot.volumes.size).toBe(2);
    expect(first.log).toContain('mac7001\n');
    expect(first.log).toContain('one\nx\n');
    await using _lease = first.result._unsafeUnwrap();
    using processes = countProcesses();
    const again = await build(mac, text);
    const started = processes.count;
    await using _other = expectOk(again.result);
    expect(again.sources).toEqual(['cache', 'cache', 'cache']);
    expect(again.log).toBe(first.log);
    expect(started).toBe(0);
    expect(await mountsOf(mac.dataset)).toEqual([]);
  });

  it('has the volumes of a result in home and Homebrew while a step runs, and nowhere after it', async () => {
    await using mac = await openMacBuilder({ users: users.slice(0, 1) });
    const seen = Promise.withResolvers<readonly string[]>();
    const controller = new AbortController();
    const first = await build(mac, spec(run('echo begun')));
    const { key } = expectOk(first.result);
    await first.result._unsafeUnwrap()[Symbol.asyncDispose]();
    const running = build(mac, spec(run('echo begun'), run('echo ready; sleep 1000')), {
      signal: controller.signal,
      onLog: (log) => log.includes('ready') && seen.resolve(mountsOf(mac.dataset)),
    });
    const mounts = await seen.promise;
    const { stdout: table } = await execa('zfs', ['list', '-r', '-o', 'name,mounted,origin', mac.dataset]);
    console.log(`${table}\n\nmounted while the step runs:\n${mounts.join('\n')}`);
    expect(mounts.map((line) => line.split(' ')[1])).toEqual(['/Users/mac7001', '/opt/homebrew']);
    expect(mounts[0]).toMatch(/\/home /);
    expect(mounts[1]).toMatch(/\/brew /);
    expect(table).toContain(key);
    controller.abort('enough');
    expect(expectErr((await running).result).type).toBe('cancelled');
    expect(await mountsOf(mac.dataset)).toEqual([]);
    expect(await readdir('/Users/mac7001').catch(() => [])).toEqual([]);
  });

  it('keeps the caches of opam and Homebrew between steps, and of a step that fails nothing stays mounted (M12, Z13)', async () => {
    await using mac = await openMacBuilder({ users: users.slice(0, 1) });
    const opam = '(opam-archives (target /Users/mac7001/.opam/download-cache))';
    const homebrew = '(homebrew (target /Users/mac7001/Library/Caches/Homebrew))';
    const caches = `(cache ${opam} ${homebrew})`;
    const fill = 'echo a >~/.opam/download-cache/a; echo b >~/Library/Caches/Homebrew/b';
    await using _first = expectOk((await build(mac, spec(run(fill, caches)))).result);
    const failing = await build(mac, spec(run('echo c >~/.opam/download-cache/c; exit 3', caches)));
    expect(expectErr(failing.result).type).toBe('step-failed');
    expect(await mountsOf(mac.dataset)).toEqual([]);
    const read = await build(
      mac,
      spec(run('cd ~; cat .opam/download-cache/* Library/Caches/Homebrew/*', caches)),
    );
    await using _second = expectOk(read.result);
    expect(read.log).toContain('a\nc\nb\n');
    const empty = await build(mac, spec(run(fill, caches), run('ls -A ~ | wc -l')));
    await using _third = expectOk(empty.result);
    expect(empty.log).toContain('0\n');
  });

  it('ends what a step leaves running before it saves the step (M3, M10)', async () => {
    await using mac = await openMacBuilder({ users: users.slice(0, 1) });
    const leave = `(setsid nohup sh -c 'trap "" TERM HUP; while :; do date >>~/alive; sleep 0.1; done' >/dev/null 2>&1 &)
      PATH=${process.env.PATH}; launchctl submit -l job -- /bin/sleep 1000; echo '* * * * * true' | crontab -
      touch /private/tmp/left; sleep 0.5; test -s ~/alive`;
    await using _built = expectOk((await build(mac, spec(run(leave)))).result);
    expect((await execa('pgrep', ['-U', '7001'], { reject: false })).exitCode).toBe(1);
    for (const path of [
      '/private/tmp/left',
      '/private/var/at/tabs/mac7001',
      '/private/var/run/launchd/7001',
    ]) {
      await expect(access(path), path).rejects.toThrow('ENOENT');
    }
  });

  it('answers stuck where another user holds a volume, within a bound, and goes on with the other user (Z11)', async () => {
    await using mac = await openMacBuilder();
    let holder: ReturnType<typeof spawn> | undefined;
    const start = performance.now();
    const held = await build(mac, spec(run('echo ready; sleep 3')), {
      onLog: (log) => {
        if (log.includes('ready'))
          holder ??= spawn('sleep', ['1000'], { cwd: '/Users/mac7001', stdio: 'ignore' });
      },
    });
    const error = expectErr(held.result);
    console.log(`after ${Math.round(performance.now() - start)} ms:`, error);
    expect(error).toMatchObject({ error: { type: 'stuck', needsReboot: true } });
    expect(performance.now() - start).toBeLessThan(BUSY);
    const volumes = new Map();
    const request = { name: 'mac7001' };
    expect(expectErr(await mac.sandbox.account(request, volumes)).type).toBe('failed');
    const next = await build(mac, spec(run('id -un')));
    await using _next = expectOk(next.result);
    expect(next.log).toContain('mac7002\n');
    holder?.kill('SIGKILL');
    if (holder) await once(holder, 'exit');
    await execa('umount', ['/Users/mac7001'], { reject: false });
  });

  it('runs two users at once without Homebrew, and one after the other with it (M15)', async () => {
    const meet = (mine: string, theirs: string) =>
      run(
        `touch /private/tmp/${mine}; i=0; until [ -e /private/tmp/${theirs} ] || [ $((i+=1)) = 150 ]; do sleep 0.1; done; sleep 1; [ $i -lt 150 ]`,
      );
    const pair = async (prefix: boolean) => {
      await using mac = await openMacBuilder(prefix ? {} : { homebrewPrefix: undefined as never });
      await using _base = expectOk((await build(mac, spec(run('true')))).result);
      const built = await Promise.all([build(mac, spec(meet('a', 'b'))), build(mac, spec(meet('b', 'a')))]);
      for (const { result } of built) if (result.isOk()) await result.value[Symbol.asyncDispose]();
      return built.map(({ result }) => result.isOk());
    };
    expect(await pair(false)).toEqual([true, true]);
    expect(await pair(true)).toEqual([false, false]);
  });

  it('copies into home as its user, and gives a secret to the step and to nothing else (S1)', async () => {
    await using mac = await openMacBuilder({ users: users.slice(0, 1) });
    await using context = await tempDir();
    await mkdir(join(context.path, 'src'));
    await writeFile(join(context.path, 'src/file'), 'copied');
    const text = spec(
      '(copy (src src) (dst /Users/mac7001/src))',
      run(
        'cd ~/src; cat file; stat -c %U . file; cat "$SNAPSTEP_SECRETS_DIR/run/secrets/token" | tr a-z A-Z',
        '(secrets (token (target /run/secrets/token)))',
      ),
    );
    const secrets = new Map([['token', Buffer.from('sw0rdfish')]]);
    const { result, log } = await build(mac, text, { context: toHostPath(context.path), secrets });
    await using built = expectOk(result);
    // The log hides it as it is.
    expect(log).toContain('copiedmac7001\nmac7001\nSW0RDFISH');
    const home = built.snapshot.volumes.get(toVolumeName('home'));
    await using mounted = expectOk((await home?.mount()) ?? expect.unreachable());
    expect(await readdir(mounted.path)).toEqual(['src']);
    expect(await readFile(join(mounted.path, 'src/file'), 'utf8')).toBe('copied');
    expect((await stat(join(mounted.path, 'src/file'))).uid).toBe(7001);
    const grep = await runCommand('grep', ['-rl', 'sw0rdfish', mounted.path]);
    expect(grep.isErr()).toBe(true);
  });
});

/** How many processes this one starts from now on. */
function countProcesses(): Disposable & { readonly count: number } {
  let count = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROCESSWRAP') count += 1;
    },
  }).enable();
  return {
    get count() {
      return count;
    },
    [Symbol.dispose]: () => void hook.disable(),
  };
}
