import { setTimeout as delay } from 'node:timers/promises';
import type { RunRequest } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { type Run, type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

type Chunk = Uint8Array | string;

const outputs: readonly SandboxBreakage[] = [
  {
    name: 'loses-the-last-chunk',
    breaks: 'whole',
    first: ['gives the last words of a command'],
    run: throughSink(({ output }) => {
      let held: Chunk | undefined;
      return async (chunk) => {
        if (held !== undefined) await output.write(held);
        held = copy(chunk);
      };
    }),
  },
  {
    name: 'errors-after-output',
    breaks: 'ordered',
    first: ['gives both streams in the order'],
    run: (run) => (request) => {
      const script = '"$0" "$@" 2>/tmp/.errors; code=$?; cat /tmp/.errors; rm /tmp/.errors; exit $code';
      return run({ ...request, argv: ['/bin/sh', '-c', script, ...request.argv] });
    },
  },
  {
    name: 'output-is-text',
    breaks: 'bytes',
    first: ['gives every byte as it is'],
    run: throughSink(
      ({ output }) =>
        (chunk) =>
          output.write(Buffer.from(chunk as Uint8Array).toString('utf8')),
    ),
  },
  {
    name: 'collects-the-output',
    breaks: 'bounded',
    first: ['waits for the log: of 100 MB'],
    run: (run) => async (request) => {
      let written = Promise.resolve();
      const write = async (chunk: Chunk) => {
        const own = copy(chunk);
        written = written.then(() => request.output.write(own));
      };
      const exit = await run({ ...request, output: { write } });
      await written;
      return exit;
    },
  },
  {
    name: 'does-not-wait-for-the-log',
    breaks: 'whole',
    first: ['has given everything to the log when it settles'],
    run: throughSink(
      ({ output }) =>
        async (chunk) =>
          void output.write(copy(chunk)),
    ),
  },
  {
    name: 'writes-at-once',
    breaks: 'oneWrite',
    also: ['bounded'],
    first: ['waits for the log: of 100 MB'],
    run: (run) => async (request) => {
      const writes: Promise<void>[] = [];
      const write = async (chunk: Chunk) => void writes.push(request.output.write(copy(chunk)));
      const exit = await run({ ...request, output: { write } });
      await Promise.all(writes);
      return exit;
    },
  },
  {
    name: 'swallows-a-rejecting-log',
    breaks: 'logRejects',
    first: ['rejects with the reason where its log rejects'],
    run: throughSink(
      ({ output }) =>
        (chunk) =>
          output.write(chunk).catch(() => {}),
    ),
  },
  {
    name: 'hangs-on-a-rejecting-log',
    breaks: 'logRejects',
    first: ['rejects with the reason where its log rejects'],
    run: throughSink(
      ({ output }) =>
        (chunk) =>
          output.write(chunk).catch(() => new Promise<void>(() => {})),
    ),
  },
  {
    name: 'rejects-while-it-runs',
    breaks: 'gone',
    also: ['unmounted'],
    first: ['rejects with the reason where its log rejects at once'],
    run: (run) => (request) => {
      const { promise, reject } = Promise.withResolvers<never>();
      const write = (chunk: Chunk) => request.output.write(chunk).catch(reject);
      return Promise.race([run({ ...request, output: { write } }), promise]);
    },
  },
];

const inputs: readonly SandboxBreakage[] = [
  {
    name: 'standard-input-stays-open',
    breaks: 'noInput',
    first: ['gives an empty standard input where there is none'],
    run: (run) => (request) => {
      const endless = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
      return run({ ...request, stdin: request.stdin ?? endless });
    },
  },
  {
    name: 'standard-input-is-not-ended',
    breaks: 'input',
    first: ['gives the end of a stream that gives nothing'],
    run: (run) => (request) => run(withOpenEnd(request)),
  },
  {
    name: 'standard-input-cut',
    breaks: 'input',
    first: ['gives what it is given, whole and once'],
    run: (run) => (request) =>
      run(request.stdin === undefined ? request : { ...request, stdin: firstChunk(request.stdin) }),
  },
  {
    name: 'waits-for-standard-input',
    breaks: 'settles',
    first: ['is not held up by a stream that never ends'],
    run: (run) => async (request) => {
      if (request.stdin === undefined) return run(request);
      const chunks: Uint8Array[] = [];
      for await (const chunk of request.stdin) chunks.push(chunk);
      return run({ ...request, stdin: new Blob(chunks as Uint8Array<ArrayBuffer>[]).stream() });
    },
  },
];

export const outputMutants: readonly Mutant[] = [...outputs, ...inputs].map(sandboxMutant);

/** Another sink before that of the request. */
function throughSink(make: (request: RunRequest) => (chunk: Chunk) => Promise<void>): (run: Run) => Run {
  return (run) => (request) => run({ ...request, output: { write: make(request) } });
}

function withOpenEnd(request: RunRequest): RunRequest {
  const { stdin } = request;
  if (stdin === undefined) return request;
  const open = new TransformStream<Uint8Array, Uint8Array>();
  void stdin.pipeTo(open.writable, { preventClose: true }).catch(() => delay(0));
  return { ...request, stdin: open.readable };
}

/** As much of it as one read gives. */
function firstChunk(stdin: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = stdin.getReader();
  return new ReadableStream({
    async start(controller) {
      const { value } = await reader.read();
      if (value !== undefined) controller.enqueue(value);
      controller.close();
    },
  });
}

function copy(chunk: Chunk): Chunk {
  return typeof chunk === 'string' ? chunk : Buffer.from(chunk);
}
