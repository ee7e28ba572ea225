import type { RunRequest } from '../../backend/sandbox.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { sandboxPromises as promises } from './promises.ts';
import { collect, type SandboxScene, type SandboxTest } from './scene.ts';

/** Standard input: given, absent, or not read. */
export function inputTests(test: SandboxTest): void {
  test('gives an empty standard input where there is none', async (scene) => {
    keepsEqual(promises.noInput, await endOf(scene), 'end\n');
  });
  test('gives what it is given, whole and once', async (scene) => {
    const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i * 7) % 251));
    for (const stdin of [new Blob([bytes]).stream(), chunked(bytes)]) {
      const log = collect();
      await scene.outputOf('cat', { stdin, output: log });
      keepsEqual(promises.input, { bytes: log.bytes().length }, { bytes: bytes.length });
      keeps(promises.input, log.bytes().equals(bytes), 'other bytes, as many');
    }
  });
  test('gives the end of a stream that gives nothing', async (scene) => {
    const stdin = new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
    keepsEqual(promises.input, await endOf(scene, { stdin }), 'end\n');
  });
  test('is not held up by a command that leaves its standard input unread (L7)', async (scene) => {
    for (const script of [
      'exec 0<&-; echo done',
      'dd bs=10 count=1 >/dev/null 2>&1; echo done',
      'echo done',
    ]) {
      const stdin = new ReadableStream<Uint8Array>({ pull: (to) => to.enqueue(new Uint8Array(65536)) });
      const output = await scene.outputOf(script, { stdin });
      keepsEqual(promises.settles, output, 'done\n');
    }
  });
  test('is not held up by a stream that never ends, after the command has', async (scene) => {
    const stdin = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
    keepsEqual(promises.settles, await scene.outputOf('echo done', { stdin }), 'done\n');
  });
}

/** What a command prints that reads its standard input to the end; nothing if that does not come. */
async function endOf(scene: SandboxScene, more: Partial<RunRequest> = {}): Promise<string> {
  const signal = AbortSignal.timeout(scene.patience / 2);
  const ran = await scene.run('cat; echo end', { ...more, signal });
  return ran.text;
}

function chunked(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(to) {
      if (at >= bytes.length) return to.close();
      const end = at + 1 + ((at * 31) % 20_000);
      to.enqueue(bytes.slice(at, end));
      at = end;
    },
  });
}
