import { afterAll, beforeAll, expect, it } from 'vitest';
import { addPerl, callEach } from './perl-rootfs.ts';
import { type Bench, openBench, withEachRuntime } from './steps.ts';

const RLIMIT_CORE = 4;
const RLIMIT_NOFILE = 7;
const EAFNOSUPPORT = 97;

/** What the kernel leaves out of account where it wants an `int`. */
const UPPER_HALF = 2 ** 32;

const NUMBERS = {
  x64: { socket: 41, setrlimit: 160, prlimit64: 302 },
  arm64: { socket: 198, setrlimit: 164, prlimit64: 261 },
}[process.arch === 'arm64' ? 'arm64' : 'x64'];

withEachRuntime('the filter of system calls looks at what they are given: a step', (runtime) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench({ runtime });
    await addPerl(bench.rootfs);
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  it("may not open a socket to the kernel's ciphers or to the hypervisor, but others", async () => {
    const [alg, vsock] = [38, 40].map((family) => family + UPPER_HALF);
    const families = [1, 2, 16, 38, 40, alg, vsock, 41, 44];
    const calls = families.map((family) => [`${family}`, NUMBERS.socket, `${family}, 3, 0`] as const);
    const lines = (await bench.outputOf(callEach(calls))).split('\n');
    const closed = lines
      .filter((line) => line.endsWith(` ${EAFNOSUPPORT}`))
      .map((line) => line.split(' ')[0]);
    expect(closed.slice(0, 4)).toEqual(['38', '40', `${alg}`, `${vsock}`]);
    expect(lines.filter((line) => line.endsWith(' 38'))).toEqual([]);
  });

  it('cannot change its limit of core dumps, and may believe that it can; all others it can change', async () => {
    const script = `for limit in 0 1 unlimited; do ulimit -Sc $limit; ulimit -c $limit; done && ulimit -n 9 -t 60
      grep -E "core|open files|cpu" /proc/self/limits`;
    const output = await bench.outputOf(script);
    expect(output.replaceAll(/ {2,}/g, ' ')).toMatch(
      /^Max cpu time 60 60 .*\nMax core file size 1 1 .*\nMax open files 9 9 .*\n$/,
    );
    const zeros = '($zeros = "\\0" x 16)';
    const upper = RLIMIT_CORE + UPPER_HALF;
    const calls = [RLIMIT_CORE, upper, RLIMIT_NOFILE].flatMap((which) => [
      [`set ${which}`, NUMBERS.setrlimit, `${which}, ${zeros}`] as const,
      [`put ${which}`, NUMBERS.prlimit64, `0, ${which}, ${zeros}, 0`] as const,
      [`get ${which}`, NUMBERS.prlimit64, `0, ${which}, 0, ${zeros}`] as const,
    ]);
    const told = await bench.outputOf(`${callEach(calls).replace('exec ', '')}; grep core /proc/self/limits`);
    const [core = '', ...rest] = told.trimEnd().split('\n').reverse();
    expect(rest.reverse()).toEqual(calls.map(([name]) => `${name} 0`));
    expect(core).toMatch(/ 1 +1 /);
  });
});
