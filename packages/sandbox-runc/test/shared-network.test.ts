import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk } from '@snapstep/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addPerl } from './perl-rootfs.ts';
import { type Bench, openBench, requestFor, tracesOf, withEachRuntime } from './steps.ts';

const SYSCALLS = process.arch === 'arm64' ? { sendmsg: 211, recvmsg: 212 } : { sendmsg: 46, recvmsg: 47 };

/** A message of one byte and one descriptor, in `$m`. */
const message = (descriptor: string): string =>
  `my ($b, $c) = ("x", pack("Q l l l x4", 20, 1, 1, ${descriptor})); my $iov = pack("P1 Q", $b, 1);
   my $m = pack("Q L x4 P16 Q P24 Q l x4", 0, 0, $iov, 1, $c, 24, 0);`;

/** Takes a descriptor over an abstract socket, and does something with it. */
const taker = (name: string, then: string): readonly [string, ...string[]] => [
  '/usr/bin/perl',
  '-e',
  `$| = 1; socket(my $l, 1, 1, 0); bind($l, pack("S a*", 1, "\\0${name}")) or die; listen($l, 1); print "ready\\n";
   accept(my $s, $l); ${message('-1')} syscall(${SYSCALLS.recvmsg}, fileno($s), $m, 0);
   my $fd = unpack("l", substr($c, 16, 4)); open(my $out, ">&=", $fd) or die; $out->autoflush(1); ${then}`,
];

/** Hands its standard output over. */
const giver = (name: string, then: string): readonly [string, ...string[]] => [
  '/usr/bin/perl',
  '-e',
  `$| = 1; socket(my $s, 1, 1, 0); connect($s, pack("S a*", 1, "\\0${name}")) or die; ${message('1')}
   syscall(${SYSCALLS.sendmsg}, fileno($s), $m, 0) == 1 or die; print "mine\\n"; ${then}`,
];

withEachRuntime("steps that share the host's network", (runtime) => {
  let bench: Bench;
  let other: string;
  const name = `snapstep-test-${runtime}-${process.pid}`;

  beforeAll(async () => {
    bench = await openBench({ runtime });
    await addPerl(bench.rootfs);
    other = join(bench.dir, 'other');
    await cp(bench.rootfs, other, { recursive: true, verbatimSymlinks: true });
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  /** How one ends while the other one holds its output. */
  async function handOver(what: {
    give: string;
    take: string;
    timeoutMs?: number;
    meanwhile?: () => Promise<void>;
  }) {
    const abort = new AbortController();
    const ready = Promise.withResolvers<void>();
    const output = { write: async () => ready.resolve() };
    const request = { network: 'host', output, signal: abort.signal } as const;
    const holder = bench.sandbox.run(requestFor(other, taker(name, what.take), request), {});
    await Promise.race([ready.promise, holder]);
    const start = performance.now();
    const limits = what.timeoutMs === undefined ? {} : { timeoutMs: what.timeoutMs };
    const ran = await bench.run(giver(name, what.give), { network: 'host', limits });
    const milliseconds = performance.now() - start;
    await what.meanwhile?.();
    abort.abort();
    await holder;
    expect(await tracesOf(bench.stateDir)).toEqual([]);
    return { exit: expectOk(ran.result), output: ran.output, milliseconds };
  }

  it('end when they end, though another one holds their output (L7)', async () => {
    const { exit, output, milliseconds } = await handOver({ give: 'exit 3', take: 'sleep 20' });
    expect(exit).toEqual({ type: 'exited', code: 3 });
    expect(output).toBe('mine\n');
    expect(milliseconds).toBeLessThan(8000);
  });

  it('end at their time limit, though another one holds their output (L7)', async () => {
    const { exit, milliseconds } = await handOver({ give: 'sleep 20', take: 'sleep 20', timeoutMs: 1000 });
    expect(exit).toEqual({ type: 'limit-exceeded', limit: 'timeoutMs' });
    expect(milliseconds).toBeLessThan(8000);
  });

  it('end though another one prints into their output for ever', async () => {
    for (const take of [
      'print $out "y" x 1000 while 1',
      'while (1) { print $out "y"; select undef, undef, undef, 0.1 }',
    ]) {
      const { exit, milliseconds } = await handOver({ give: 'exit 0', take });
      expect(exit).toEqual({ type: 'exited', code: 0 });
      expect(milliseconds).toBeLessThan(8000);
    }
  });

  it('never find in their log what an earlier one has given away the output of', async () => {
    const take = 'while (1) { syswrite($out, "y"); select undef, undef, undef, 0.01 }';
    const meanwhile = async (): Promise<void> => {
      for (let i = 0; i < 10; i += 1) expect(await bench.outputOf(`echo ${i}`)).toBe(`${i}\n`);
    };
    await handOver({ give: 'exit 0', take: `$SIG{PIPE} = "IGNORE"; ${take}`, meanwhile });
  });
});
