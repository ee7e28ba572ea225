import { cp, lstat, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { collectLog, expectErr, expectOk } from '@snapstep/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Bench, openBench, requestFor, tracesOf, withEachRuntime } from './steps.ts';

withEachRuntime('a command', (runtime) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench({ runtime });
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  it.each([0, 1, 7, 125, 126, 127, 137, 255])('exits with %i and that is what we hear (L8)', async (code) => {
    const { result } = await bench.run(`exit ${code}`);
    expect(expectOk(result)).toEqual({ type: 'exited', code });
  });

  it('that a signal ended gives the exit code that a shell would give', async () => {
    const { result } = await bench.run('sh -c "kill -TERM \\$\\$"; exit $?');
    expect(expectOk(result)).toEqual({ type: 'exited', code: 143 });
  });

  it('has both of its streams in the log, in the order in which it wrote them', async () => {
    const script = 'i=0; while [ $i -lt 200 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done';
    const lines = Array.from({ length: 200 }, (_, i) => `out ${i}\nerr ${i}\n`);
    expect(await bench.outputOf(script)).toBe(lines.join(''));
  });

  it('may open its own streams by name', async () => {
    expect(await bench.outputOf('echo a >/dev/stdout; echo b >/dev/stderr; cat /dev/stdin')).toBe('a\nb\n');
  });

  it('may open its own streams by name when it is not root', async () => {
    const user = { uid: 1000, gid: 1000 };
    expect(await bench.outputOf('echo a >/dev/stdout; echo b >/dev/stderr', { user })).toBe('a\nb\n');
  });

  it('that writes any bytes has just these in the log (L11)', async () => {
    const log = collectLog();
    const script = 'head -c 3000000 /dev/zero; printf "\\377\\000\\n\\303"; printf "\\251"';
    const result = await bench.sandbox.run(bench.request(script, { output: log }), {});
    expect(expectOk(result)).toEqual({ type: 'exited', code: 0 });
    const wanted = Buffer.concat([Buffer.alloc(3_000_000), Buffer.from([0xff, 0, 0x0a, 0xc3, 0xa9])]);
    expect(Buffer.compare(log.bytes(), wanted)).toBe(0);
  });

  it('never loses its last words, however fast it ends (L7)', async () => {
    for (let i = 0; i < 25; i += 1) expect(await bench.outputOf(`echo last ${i}`)).toBe(`last ${i}\n`);
  });

  it('waits for a slow log, and memory stays bounded while it prints 300 MB', async () => {
    let bytes = 0;
    let largest = 0;
    const output = {
      async write(chunk: Uint8Array | string) {
        bytes += chunk.length;
        largest = Math.max(largest, process.memoryUsage().arrayBuffers);
        await new Promise(setImmediate);
      },
    };
    const before = process.memoryUsage().arrayBuffers;
    const { result } = await bench.run('head -c 300000000 /dev/zero', { output });
    expect(expectOk(result)).toEqual({ type: 'exited', code: 0 });
    expect(bytes).toBe(300_000_000);
    expect(largest - before).toBeLessThan(128 * 1024 * 1024);
  });

  it('is ended, and the error comes through, when its log cannot be written', async () => {
    const output = { write: () => Promise.reject(new Error('the disk of the log is full')) };
    await expect(bench.run('echo x; sleep 60', { output })).rejects.toThrow('the disk of the log is full');
    expect(await tracesOf(bench.stateDir)).toEqual([]);
  });

  it('reads an empty standard input', async () => {
    expect(await bench.outputOf('wc -c; [ -t 0 ] || echo no terminal')).toBe('0\nno terminal\n');
  });

  it('reads what is given to it as standard input', async () => {
    const stdin = new Blob([Buffer.alloc(1_000_000, 'x')]).stream();
    expect(await bench.outputOf('wc -c', { stdin })).toBe('1000000\n');
  });

  it('cannot hold the host up by keeping its output locked, as a splice from a socket does (L5)', async () => {
    // Not told by the output, which nobody can read while it is locked.
    const stdin = new ReadableStream<Uint8Array>({
      async start(controller) {
        await delay(500);
        controller.enqueue(Buffer.from('more'));
        await delay(100);
        controller.close();
      },
    });
    expect(await bench.outputOf('echo ready; cat', { stdin })).toBe('ready\nmore');
    const idle = new ReadableStream<Uint8Array>();
    const limited = await bench.run('cat', { stdin: idle, limits: { timeoutMs: 500 } });
    expect(expectOk(limited.result)).toEqual({ type: 'limit-exceeded', limit: 'timeoutMs' });
  });

  it('may leave its standard input unread, or end at once (L7)', async () => {
    for (const script of ['exec 0<&-; echo done', 'head -c 10 >/dev/null; echo done', 'echo done']) {
      const endless = new ReadableStream<Uint8Array>({ pull: (to) => to.enqueue(new Uint8Array(65536)) });
      expect(await bench.outputOf(script, { stdin: endless })).toBe('done\n');
    }
  });

  it('that is not in the image exits with 127 and a line in the log', async () => {
    for (const argv of [['nosuch'], ['/no/such']] as const) {
      const { result, output } = await bench.run(argv);
      expect(expectOk(result)).toEqual({ type: 'exited', code: 127 });
      expect(output).toContain(argv[0]);
      expect(output).toMatch(/not found/);
    }
  });

  it('that is not executable, or too long, exits with 126 and a line in the log', async () => {
    const tooLong = ['/bin/sh', '-c', `: ${'too long '.repeat(20_000)}`] as const;
    for (const argv of [['/etc/passwd'], ['/etc'], tooLong] as const) {
      const { result, output } = await bench.run(argv);
      expect(expectOk(result)).toEqual({ type: 'exited', code: 126 });
      expect(output).toContain(argv[0]);
    }
  });

  it('that fails is never a failure of the runtime, whatever it prints', async () => {
    const json = '{"msg":"exec container process `/bin/sh`: hello","level":"error"}';
    for (const line of ['exec x: hello', 'exec /bin/sh: hello', 'exec x: permission denied', json]) {
      const { result, output } = await bench.run(`echo '${line}'; exit 1`);
      expect(expectOk(result)).toEqual({ type: 'exited', code: 1 });
      expect(output).toBe(`${line}\n`);
    }
  });

  it('whose interpreter is missing exits with 127', async () => {
    await writeFile(join(bench.rootfs, 'bin/no-interpreter'), '#!/no/such\n', { mode: 0o755 });
    const { result, output } = await bench.run(['/bin/no-interpreter']);
    expect(expectOk(result)).toEqual({ type: 'exited', code: 127 });
    expect(output).toMatch(/not found|No such file/);
  });

  it('that the runtime cannot set up is a failure with the reason of the runtime', async () => {
    await using broken = await openBench({ runtime });
    const root = join(broken.stateDir, 'run/runtime');
    await rm(root, { recursive: true });
    await writeFile(root, 'where the runtime wants a directory');
    const { result } = await broken.run('true');
    expect(expectErr(result)).toMatchObject({
      type: 'failed',
      message: expect.stringMatching(new RegExp(`^${runtime}: .*${root}.*not a directory`, 'is')),
    });
    expect(await tracesOf(broken.stateDir)).toEqual([]);
  });

  it('runs in a directory that is made for it, owned by root and as open as any (R20)', async () => {
    const umask = process.umask(0o077);
    try {
      expect(await bench.outputOf('pwd', { cwd: '/made/for/it', user: { uid: 1000, gid: 1000 } })).toBe(
        '/made/for/it\n',
      );
    } finally {
      process.umask(umask);
    }
    expect(await lstat(join(bench.rootfs, 'made/for'))).toMatchObject({ uid: 0, gid: 0, mode: 0o40755 });
  });

  it.each(['/proc/self/fd/7', '/proc', '/link'])('never runs in %s, a door to the host (C3)', async (cwd) => {
    await symlink('/proc/self/fd/7', join(bench.rootfs, 'link')).catch(() => {});
    const { result } = await bench.run('ls', { cwd });
    expect(expectErr(result)).toMatchObject({ type: 'failed', message: expect.stringContaining('/proc') });
  });

  it('runs in a directory behind a link without leaving the root file system (C2)', async () => {
    await symlink('../../../../../../..', join(bench.rootfs, 'up'));
    await bench.outputOf('touch here', { cwd: `/up${bench.dir}/w` });
    expect((await lstat(join(bench.rootfs, bench.dir, 'w/here'))).isFile()).toBe(true);
    await expect(lstat(join(bench.dir, 'w'))).rejects.toThrow('ENOENT');
  });

  it('has the environment that it was given (R14)', async () => {
    const env = { PATH: '/bin', HOME: '/h', LONG: 'a b\n"c"', NOTIFY_SOCKET: '/x' };
    const lines = (await bench.outputOf('env', { env })).split('\n');
    const own = lines.filter((line) => !/^(SHLVL|PWD|OLDPWD|_)=/.test(line));
    expect(own.sort()).toEqual(['', '"c"', 'HOME=/h', 'LONG=a b', 'NOTIFY_SOCKET=/x', 'PATH=/bin'].sort());
  });

  it('runs as the user, with the groups that the image gives it, and with umask 022 (R20)', async () => {
    const umask = process.umask(0o077);
    try {
      const output = await bench.outputOf('id -u; id -g; umask', { user: { uid: 1000, gid: 77 } });
      expect(output).toBe('1000\n77\n0022\n');
    } finally {
      process.umask(umask);
    }
  });

  it('sees the host name "builder" and knows it as an address (R21)', async () => {
    expect(await bench.outputOf('hostname; grep -c builder /etc/hosts; tail -c1 /etc/hosts')).toBe(
      'builder\n2\n\n',
    );
  });

  it('reaches a server of its own on 127.0.0.1 in a network of its own (R17)', async () => {
    const script =
      '(echo hello | nc -l -p 80 >/dev/null) & until nc 127.0.0.1 80 </dev/null 2>/dev/null; do :; done; ip -o link | wc -l';
    expect(await bench.outputOf(script)).toBe('hello\n1\n');
  });

  it("has the host's network where it asks for it, and resolv.conf only then, read-only (R3)", async () => {
    const before = await readFile('/etc/resolv.conf', 'utf8').catch(() => undefined);
    const devices = (await readFile('/proc/net/dev', 'utf8')).split('\n').length;
    const output = await bench.outputOf('wc -l </proc/net/dev', { network: 'host' });
    expect(Number(output)).toBe(devices - 1);
    if (before !== undefined) {
      const script = 'echo nameserver 6.6.6.6 >/etc/resolv.conf || cat /etc/resolv.conf';
      expect(await bench.outputOf(script, { network: 'host' })).toContain(before);
      expect(await readFile('/etc/resolv.conf', 'utf8')).toBe(before);
    }
    expect(await bench.outputOf('ls /etc/resolv.conf 2>/dev/null || echo none')).toBe('none\n');
  });

  it('leaves nothing behind on the host (S1)', async () => {
    await bench.outputOf('echo x >/tmp/x');
    expect(await tracesOf(bench.stateDir)).toEqual([]);
  });

  it('runs beside others without getting in their way (R2, R11)', async () => {
    const numbers = Array.from({ length: 8 }, (_, i) => i);
    const roots = numbers.map((i) => join(bench.dir, `rootfs-${i}`));
    for (const root of roots) await cp(bench.rootfs, root, { recursive: true, verbatimSymlinks: true });
    const ran = await Promise.all(
      roots.map(async (root, i) => {
        const output = collectLog();
        const result = await bench.sandbox.run(requestFor(root, `echo ${i}; exit ${i}`, { output }), {});
        return { exit: expectOk(result), text: output.text() };
      }),
    );
    expect(ran).toEqual(numbers.map((i) => ({ exit: { type: 'exited', code: i }, text: `${i}\n` })));
  });
});
