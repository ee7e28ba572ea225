import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { collectLog, expectErr, expectOk } from '@snapstep/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Bench, openBench, processesWith, tracesOf, withEachRuntime } from './steps.ts';

withEachRuntime('an abort', (runtime) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench({ runtime });
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  it('before the start starts nothing, and gives its reason back', async () => {
    const reason = new Error('no longer wanted');
    const { result, output } = await bench.run('echo started', { signal: AbortSignal.abort(reason) });
    expect(expectErr(result)).toMatchObject({ type: 'cancelled', reason });
    expect(output).toBe('');
  });

  it('in the middle ends within a second, and keeps what was printed', async () => {
    const abort = new AbortController();
    const log = collectLog();
    const output = {
      async write(chunk: Uint8Array | string) {
        await log.write(chunk);
        abort.abort('enough');
      },
    };
    const { result } = await bench.run(['/bin/sh', '-c', 'printf begun; exec sleep 4242'], {
      ...{ output, signal: abort.signal },
    });
    expect(expectErr(result)).toMatchObject({ type: 'cancelled', reason: 'enough' });
    expect(log.text()).toBe('begun');
    expect(await processesWith('4242')).toEqual([]);
  });

  it('at any moment ends within a second and leaves nothing (L5, L6)', async () => {
    // With a file to mount on, three steps can use one root file system at the same time.
    await writeFile(join(bench.rootfs, 'etc/hosts'), '');
    const times: number[] = [];
    const copies = await copiesOfRuntimes();
    const abortOne = async (wait: number): Promise<void> => {
      const abort = new AbortController();
      const running = bench.run('(setsid sleep 4243 &) ; sleep 4243', { signal: abort.signal });
      await delay(wait);
      const start = performance.now();
      abort.abort();
      expect(expectErr((await running).result).type).toBe('cancelled');
      times.push(performance.now() - start);
    };
    for (let i = 0; i < 40; i += 1) {
      const waits = [Math.random() * 50, Math.random() * 50, Math.random() * 250];
      await Promise.all(waits.map(abortOne));
    }
    const sorted = times.toSorted((a, b) => a - b);
    // The last few are those that a busy machine held up.
    expect(sorted[Math.floor(sorted.length * 0.9)]).toBeLessThan(1000);
    expect(sorted.at(-1)).toBeLessThan(5000);
    expect(await processesWith('4243')).toEqual([]);
    expect(await tracesOf(bench.stateDir)).toEqual([]);
    expect(await copiesOfRuntimes()).toEqual(copies);
    expect(await bench.outputOf('echo fine')).toBe('fine\n');
  });

  it('around the end of a command gives an exit or a cancellation, and leaves nothing', async () => {
    for (let i = 0; i < 30; i += 1) {
      const abort = new AbortController();
      const output = { write: async () => void setTimeout(() => abort.abort(), Math.random() * 30) };
      const { result } = await bench.run('echo x', { output, signal: abort.signal });
      if (result.isOk()) expect(result.value).toEqual({ type: 'exited', code: 0 });
      else expect(result.error.type).toBe('cancelled');
    }
    expect(await tracesOf(bench.stateDir)).toEqual([]);
  });

  it('is not held up by a log that takes nothing any more', async () => {
    const abort = new AbortController();
    const output = {
      write: () => {
        abort.abort();
        return new Promise<void>(() => {});
      },
    };
    const start = performance.now();
    const { result } = await bench.run('yes', { output, signal: abort.signal });
    expect(expectErr(result).type).toBe('cancelled');
    expect(performance.now() - start).toBeLessThan(3000);
    expect(await tracesOf(bench.stateDir)).toEqual([]);
  });

  it('reaches grandchildren in sessions of their own, and those that ignore signals', async () => {
    const abort = new AbortController();
    const output = { write: async () => abort.abort() };
    const script = `trap "" TERM INT HUP
      (setsid sh -c 'trap "" TERM; (sleep 4244 &) ; sleep 4244' &)
      until [ $(ps | grep -c "[s]leep 4244") -ge 2 ]; do sleep 0.01; done
      echo ready; while :; do sleep 4244; done`;
    const { result } = await bench.run(script, { output, signal: abort.signal });
    expect(expectErr(result).type).toBe('cancelled');
    expect(await processesWith('4244')).toEqual([]);
  });

  it('ends a command that makes new processes as fast as it can', async () => {
    const abort = new AbortController();
    const output = { write: async () => abort.abort() };
    const script = 'echo go; f() { (sleep 4245 & f) & }; f; sleep 4245';
    const { result } = await bench.run(script, { output, signal: abort.signal, limits: { pids: 60 } });
    expect(expectErr(result).type).toBe('cancelled');
    expect(await processesWith('4245')).toEqual([]);
    expect(await tracesOf(bench.stateDir)).toEqual([]);
  });

  it('is what closing the sandbox is to a running command', async () => {
    await using other = await openBench({ runtime });
    const started = Promise.withResolvers<void>();
    const output = { write: async () => started.resolve() };
    const running = other.run('echo go; sleep 4246', { output });
    await started.promise;
    await other.sandbox[Symbol.asyncDispose]();
    expect(expectErr((await running).result).type).toBe('cancelled');
    expect(await processesWith('4246')).toEqual([]);
    expect(expectErr((await other.run('true')).result).type).toBe('cancelled');
  });

  it('is not needed for what a command leaves running: that ends with it (L5)', async () => {
    const { result } = await bench.run('(setsid sleep 4247 >/dev/null 2>&1 &); echo started');
    expect(expectOk(result)).toEqual({ type: 'exited', code: 0 });
    expect(await processesWith('4247')).toEqual([]);
  });
});

/** What crun makes of itself to start from. */
async function copiesOfRuntimes(): Promise<readonly string[]> {
  return (await readdir('/tmp')).filter((name) => name.startsWith('crun.'));
}
