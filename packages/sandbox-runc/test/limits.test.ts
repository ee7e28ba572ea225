import { expectOk } from '@snapstep/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Bench, openBench, tracesOf, withEachRuntime } from './steps.ts';

const MIB = 1024 * 1024;
const EAT = 'a=x; while :; do a=$a$a; done';

withEachRuntime('limits', (runtime) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench({ runtime });
  });
  afterAll(async () => {
    expect(await tracesOf(bench.stateDir)).toEqual([]);
    await bench[Symbol.asyncDispose]();
  });

  it('are all enforced on this machine', () => {
    expect(bench.sandbox.enforces).toEqual(['memoryBytes', 'cpus', 'pids', 'timeoutMs', 'silenceMs']);
  });

  it('on memory end a command that needs more, and say so (R13)', async () => {
    const { result } = await bench.run(EAT, { limits: { memoryBytes: 32 * MIB } });
    expect(expectOk(result)).toEqual({ type: 'limit-exceeded', limit: 'memoryBytes' });
  });

  it('on memory are named too where only a child was killed, and the command went on (R13)', async () => {
    const { result, output } = await bench.run(`sh -c '${EAT}'; echo $?`, {
      limits: { memoryBytes: 32 * MIB },
    });
    expect(output).toContain('137\n');
    expect(expectOk(result)).toEqual({ type: 'limit-exceeded', limit: 'memoryBytes' });
  });

  it('on memory are not blamed for a kill that has another cause (R13)', async () => {
    const limits = { memoryBytes: 64 * MIB };
    const { result } = await bench.run('sh -c "kill -KILL \\$\\$"; exit $?', { limits });
    expect(expectOk(result)).toEqual({ type: 'exited', code: 137 });
  });

  it('on memory count what is written to /dev/shm', async () => {
    const { result } = await bench.run('head -c 100m /dev/zero >/dev/shm/x', {
      limits: { memoryBytes: 32 * MIB },
    });
    expect(expectOk(result)).toEqual({ type: 'limit-exceeded', limit: 'memoryBytes' });
  });

  it('on memory leave alone what needs less', async () => {
    expect(await bench.outputOf('echo small', { limits: { memoryBytes: 64 * MIB } })).toBe('small\n');
  });

  it('on processes stop a command from having more, and say so', async () => {
    const script = 'for i in 1 2 3 4 5 6 7 8 9; do sleep 30 & done; wait';
    const { result, output } = await bench.run(script, { limits: { pids: 5, timeoutMs: 20_000 } });
    expect(output).toMatch(/fork/);
    expect(expectOk(result)).toEqual({ type: 'limit-exceeded', limit: 'pids' });
  });

  it('on processes allow exactly as many as they say', async () => {
    // The shell itself is the third.
    expect(await bench.outputOf('sleep 0.1 & sleep 0.1 & wait; echo fine', { limits: { pids: 3 } })).toBe(
      'fine\n',
    );
    const { result } = await bench.run('sleep 30 & sleep 30 & sleep 30 & wait', { limits: { pids: 3 } });
    expect(expectOk(result)).toEqual({ type: 'limit-exceeded', limit: 'pids' });
  });

  it('on processors slow a command down', async () => {
    const spin = 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; cat /proc/self/cgroup >/dev/null';
    const free = await timeOf(() => bench.outputOf(spin));
    const slow = await timeOf(() => bench.outputOf(spin, { limits: { cpus: 0.1 } }));
    expect(slow).toBeGreaterThan(free * 1.5);
  });

  it('on time end a command that takes longer, with all that it has printed', async () => {
    const start = performance.now();
    const { result, output } = await bench.run('echo begun; sleep 60', { limits: { timeoutMs: 700 } });
    expect(expectOk(result)).toEqual({ type: 'limit-exceeded', limit: 'timeoutMs' });
    expect(output).toBe('begun\n');
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it('on time may be longer than a timer can be', async () => {
    const limits = { timeoutMs: 2 ** 40, silenceMs: 2 ** 40 };
    expect(await bench.outputOf('sleep 0.1; echo done', { limits })).toBe('done\n');
  });

  it('on silence end a command that says nothing any more, and no other', async () => {
    const limits = { silenceMs: 700 };
    const chatty = 'for i in 1 2 3 4 5; do sleep 0.3; echo $i; done';
    expect(await bench.outputOf(chatty, { limits })).toBe('1\n2\n3\n4\n5\n');
    const { result, output } = await bench.run('echo begun; sleep 60', { limits });
    expect(expectOk(result)).toEqual({ type: 'limit-exceeded', limit: 'silenceMs' });
    expect(output).toBe('begun\n');
  });

  it('on silence do not count the time that the log needs', async () => {
    const output = { write: () => new Promise<void>((resolve) => setTimeout(resolve, 900)) };
    const { result } = await bench.run('echo x', { limits: { silenceMs: 600 }, output });
    expect(expectOk(result)).toEqual({ type: 'exited', code: 0 });
  });
});

async function timeOf(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}
