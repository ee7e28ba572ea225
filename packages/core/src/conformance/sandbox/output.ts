import { keeps, keepsEqual } from '../promise.ts';
import { collect, describeRan, type SandboxTest } from './scene.ts';

const MIB = 1024 * 1024;

/** What a command prints is in the log: all of it, once, in order. */
export function outputTests(test: SandboxTest): void {
  test('gives both streams in the order in which the command wrote them', async (scene) => {
    const script = 'i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done';
    const lines = Array.from({ length: 300 }, (_, i) => `out ${i}\nerr ${i}\n`);
    keepsEqual(
      'standard output and standard error come in the order in which they were written',
      (await scene.outputOf(script)).split('\n'),
      lines.join('').split('\n'),
    );
  });
  test('gives every byte as it is', async (scene) => {
    const log = collect();
    const bytes = Array.from({ length: 256 }, (_, byte) => byte);
    const script = `printf '${bytes.map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}\\303'; printf '\\251'`;
    await scene.outputOf(script, { output: log });
    keepsEqual(
      'output is bytes, not text',
      log.bytes().toString('hex'),
      Buffer.from([...bytes, 0xc3, 0xa9]).toString('hex'),
    );
  });
  test('gives the last words of a command, however fast it ends', async (scene) => {
    for (let round = 0; round < 25; round += 1) {
      keepsEqual(
        'nothing of the output is lost',
        await scene.outputOf(`printf 'last ${round}'`),
        `last ${round}`,
      );
    }
  });
  test('has given everything to the log when it settles, however slow the log is', async (scene) => {
    const log = collect();
    const write = async (chunk: Uint8Array | string) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await log.write(chunk);
    };
    await scene.outputOf('i=0; while [ $i -lt 20 ]; do echo $i; i=$((i+1)); done', { output: { write } });
    const lines = Array.from({ length: 20 }, (_, i) => `${i}\n`).join('');
    keepsEqual('all output is in the log when `run` settles', log.text(), lines);
  });
  test('waits for the log: 100 MB are never all in memory', async (scene) => {
    const log = new SlowLog();
    const ran = await scene.run('dd if=/dev/zero bs=65536 count=1600 2>/dev/null', { output: log });
    keeps('a command with much output ends as any other', ran.result.isOk(), describeRan(ran));
    keepsEqual('nothing of the output is lost (bytes)', log.bytes, 100 * MIB);
    keepsEqual('one chunk is written after the other (writes at once)', log.mostAtOnce, 1);
    const grown = `${Math.round(log.grown / MIB)} MiB more than before`;
    keeps('output is not collected in memory', log.grown < 32 * MIB, grown);
  });
  test('ends the command where the log cannot be written, and does not call that a success', async (scene) => {
    const output = { write: () => Promise.reject(new Error('the disk of the log is full')) };
    const ended = await scene.run('echo x; sleep 4211', { output }).then(
      ({ result }) => (result.isOk() ? JSON.stringify(result.value) : 'failed'),
      () => 'failed',
    );
    keepsEqual('output that cannot be kept is a failure', ended, 'failed');
    scene.expectUnmounted();
  });
}

/** Holds up the first chunk until a command without a bound would have printed all. */
class SlowLog {
  bytes = 0;
  mostAtOnce = 0;
  grown = 0;
  #writing = 0;

  async write(chunk: Uint8Array | string): Promise<void> {
    const before = memory();
    const isFirst = this.bytes === 0;
    this.bytes += chunk.length;
    this.#writing += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#writing);
    await new Promise((resolve) => (isFirst ? setTimeout(resolve, 700) : setImmediate(resolve)));
    // Later on, chunks that have been written may be waiting for the garbage collector.
    if (isFirst) this.grown = memory() - before;
    this.#writing -= 1;
  }
}

function memory(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
