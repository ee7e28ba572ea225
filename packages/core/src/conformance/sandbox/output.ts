import { createHash, randomFillSync } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keeps, keepsEqual } from '../promise.ts';
import { mounted } from '../store/scene.ts';
import { expectGone, inSession, makeMark } from './processes.ts';
import { sandboxPromises as promises } from './promises.ts';
import { collect, describeRan, type SandboxScene, type SandboxTest } from './scene.ts';

const MIB = 1024 * 1024;

/** What a command prints is in the log: all of it, once, in order. */
export function outputTests(test: SandboxTest): void {
  test('gives both streams in the order in which the command wrote them', async (scene) => {
    const script = 'i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done';
    const lines = Array.from({ length: 300 }, (_, i) => `out ${i}\nerr ${i}\n`);
    keepsEqual(promises.ordered, (await scene.outputOf(script)).split('\n'), lines.join('').split('\n'));
  });
  test('gives every byte as it is (L11)', async (scene) => {
    const log = collect();
    const bytes = Array.from({ length: 256 }, (_, byte) => byte);
    const script = `printf '${bytes.map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}\\303'; printf '\\251'`;
    await scene.outputOf(script, { output: log });
    keepsEqual(
      promises.bytes,
      log.bytes().toString('hex'),
      Buffer.from([...bytes, 0xc3, 0xa9]).toString('hex'),
    );
  });
  test('gives the last words of a command, however fast it ends (L7)', async (scene) => {
    for (let round = 0; round < 25; round += 1) {
      keepsEqual(promises.whole, await scene.outputOf(`printf 'last ${round}'`), `last ${round}`);
    }
  });
  test('has given everything to the log when it settles, however slow the log is', async (scene) => {
    const log = collect();
    const write = async (chunk: Uint8Array | string) => {
      // Longer than it takes to end a command.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await log.write(chunk);
    };
    await scene.outputOf('echo first; echo last', { output: { write } });
    keepsEqual(promises.whole, log.text(), 'first\nlast\n');
  });
  test('waits for the log: of 100 MB all arrive, and they are never all in memory', async (scene) => {
    const block = await makeNoise(scene);
    const log = new SlowLog();
    const ran = await scene.run(
      `i=0; while [ $i -lt ${BLOCKS} ]; do cat ${scene.directory}/block; i=$((i+1)); done`,
      { output: log },
    );
    keeps(promises.exited, ran.result.isOk(), describeRan(ran));
    keepsEqual(promises.whole, { bytes: log.bytes }, { bytes: BLOCKS * block.length });
    keepsEqual(promises.whole, { sha256: log.digest() }, { sha256: digestOf(block) });
    keepsEqual(promises.oneWrite, { atOnce: log.mostAtOnce }, { atOnce: 1 });
    const grown = `${Math.round(log.grown / MIB)} MiB more than before`;
    keeps(promises.bounded, log.grown < 32 * MIB, grown);
  });
  test('slows a command down to what its log can take', async (scene) => {
    const volume = await scene.cache();
    const target = `${scene.directory}/cache`;
    let wasDone = false;
    let bytes = 0;
    const write = async (chunk: Uint8Array | string) => {
      bytes += chunk.length;
      if (bytes > chunk.length) return;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      wasDone = (await mounted(volume, (path) => readdir(path))).includes('done');
    };
    const script = `dd if=/dev/zero bs=65536 count=640 2>/dev/null; echo x >${target}/done`;
    await scene.outputOf(script, { output: { write }, mounts: [{ volume, target }] });
    keepsEqual(promises.whole, { bytes }, { bytes: 40 * MIB });
    keeps(promises.bounded, !wasDone, '40 MiB were printed beforehand');
  });
  for (const [when, script] of Object.entries({
    'at once': (mark: string) => `${inSession(`sleep ${mark}`)}; echo x; sleep ${mark}`,
    'in the middle': (mark: string) => `sleep ${mark} & i=0; while :; do echo $i; i=$((i+1)); done`,
  })) {
    test(`rejects with the reason where its log rejects ${when}, and leaves nothing of the command`, async (scene) => {
      const [mark, reason] = [makeMark(), new Error('the disk of the log is full')];
      let taken = when === 'at once' ? 0 : 20;
      const write = () => (taken-- > 0 ? Promise.resolve() : Promise.reject(reason));
      const volume = await scene.cache();
      const before = await scene.tree();
      const ended = await scene
        .run(script(mark), {
          output: { write },
          mounts: [{ volume, target: `${scene.directory}/cache` }],
          secrets: [{ target: `${scene.directory}/secret`, value: Buffer.from('sw0rdfish') }],
        })
        .then(
          ({ result }) => result,
          (error: unknown) => error,
        );
      keeps(promises.logRejects, ended === reason, ended);
      await expectGone(mark);
      scene.expectUnmounted();
      keepsEqual(promises.noTrace, await scene.tree(), before);
    });
  }
}

const BLOCKS = 25;

/** Makes a file `block` of 4 MiB, no part of which is like another. */
async function makeNoise(scene: SandboxScene): Promise<Uint8Array> {
  const block = randomFillSync(Buffer.alloc(4 * MIB));
  await scene.look(scene.directory, async (at) => {
    await mkdir(at, { recursive: true, mode: 0o755 });
    await writeFile(join(at, 'block'), block, { mode: 0o644 });
  });
  return block;
}

function digestOf(block: Uint8Array): string {
  const hash = createHash('sha256');
  for (let i = 0; i < BLOCKS; i += 1) hash.update(block);
  return hash.digest('hex');
}

/** Holds up the first chunk until a command without a bound would have printed all. */
class SlowLog {
  bytes = 0;
  mostAtOnce = 0;
  grown = 0;
  readonly #hash = createHash('sha256');
  #writing = 0;

  digest(): string {
    return this.#hash.digest('hex');
  }

  async write(chunk: Uint8Array | string): Promise<void> {
    const before = memory();
    const isFirst = this.bytes === 0;
    this.bytes += chunk.length;
    this.#hash.update(chunk);
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
