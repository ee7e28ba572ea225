import { cancelled, type Exit, err, ok } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

const answers: readonly SandboxBreakage[] = [
  {
    name: 'code-without-128',
    breaks: 'exited',
    first: ['answers with the exit code'],
    run: (run) => async (request) => (await run(request)).map((exit) => recode(exit, (code) => code & 0x7f)),
  },
  {
    name: 'signal-without-prefix',
    breaks: 'exited',
    first: ['code of a shell where a signal ended'],
    run: (run) => async (request) =>
      (await run(request)).map((exit) =>
        exit.type === 'exited' && exit.code === 143 ? { type: 'signalled', signal: 'TERM' } : exit,
      ),
  },
  {
    name: 'signal-by-number',
    breaks: 'signalled',
    first: ['answers a command that a signal ended as `signalled`'],
    run: (run) => async (request) =>
      (await run(request)).map((exit) =>
        exit.type === 'exited' && exit.code > 128 && exit.code < 160
          ? { type: 'signalled', signal: `${exit.code - 128}` }
          : exit,
      ),
  },
  {
    name: 'failure-of-runtime',
    breaks: 'notFound',
    first: ['answers 127'],
    run: (run) => async (request) => {
      const exit = await run(request);
      return exit.isOk() && exit.value.type === 'exited' && exit.value.code === 127
        ? err({ type: 'failed', message: `exec: ${request.argv[0]}: not found` })
        : exit;
    },
  },
  {
    name: 'silent-127',
    breaks: 'notFound',
    first: ['answers 127'],
    run: (run) => (request) => run({ ...request, output: { write: async () => {} } }),
  },
  {
    name: 'path-of-its-own',
    breaks: 'lookup',
    first: ['looks a command up in the PATH'],
    run: (run) => (request) => {
      const [name, ...rest] = request.argv;
      const found = name.includes('/') ? name : `/bin/${name}`;
      return run({ ...request, argv: [found, ...rest] });
    },
  },
  {
    name: 'relative-command-from-the-root',
    breaks: 'lookup',
    first: ['looks a command up in the PATH'],
    run: (run) => (request) => run(request.argv[0].startsWith('./') ? { ...request, cwd: '/' } : request),
  },
  {
    name: 'not-executable-is-a-failure',
    breaks: 'notExecutable',
    first: ['answers 126'],
    run: (run) => async (request) => {
      const exit = await run(request);
      return exit.isOk() && exit.value.type === 'exited' && exit.value.code === 126
        ? err({ type: 'failed', message: `exec: ${request.argv[0]}: permission denied` })
        : exit;
    },
  },
  {
    name: 'arguments-through-a-shell',
    breaks: 'argv',
    first: ['hands over every argument as it is'],
    run: (run) => (request) => run({ ...request, argv: ['/bin/sh', '-c', quoted(request.argv)] }),
  },
];

const aborts: readonly SandboxBreakage[] = [
  {
    name: 'abort-settles-early',
    breaks: 'gone',
    also: ['unmounted'],
    first: ['ends what runs, and keeps what it printed'],
    run: (run) => (request) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      request.signal.addEventListener('abort', () => resolve());
      return Promise.race([run(request), promise.then(() => err(cancelled(request.signal)))]);
    },
  },
  {
    name: 'abort-is-exit-137',
    breaks: 'cancelled',
    first: ['ends what runs, and keeps what it printed'],
    run: (run) => async (request) =>
      (await run(request)).orElse((error) =>
        error.type === 'cancelled' ? ok({ type: 'exited', code: 137 } as const) : err(error),
      ),
  },
  {
    name: 'abort-without-reason',
    breaks: 'cancelled',
    first: ['ends what runs, and keeps what it printed'],
    run: (run) => async (request) =>
      (await run(request)).mapErr((error) =>
        error.type === 'cancelled' ? cancelled({ reason: new Error('killed') }) : error,
      ),
  },
  {
    name: 'abort-before-the-start-is-missed',
    breaks: 'cancelled',
    first: ['starts nothing where it is aborted before'],
    run: (run) => (request) => {
      const controller = new AbortController();
      // A listener that comes too late never hears of it.
      request.signal.addEventListener('abort', () => controller.abort(request.signal.reason));
      return run({ ...request, signal: controller.signal });
    },
  },
  {
    name: 'looks-for-an-abort-at-the-end',
    breaks: 'notStarted',
    first: ['starts nothing where it is aborted before'],
    run: (run) => async (request) => {
      if (!request.signal.aborted) return run(request);
      await run({ ...request, signal: new AbortController().signal });
      return err(cancelled(request.signal));
    },
  },
  {
    name: 'lock-kept-by-an-abort',
    breaks: 'usable',
    first: ['leaves nothing when it is aborted at any moment'],
    run: (run) => {
      let isLocked = false;
      return async (request) => {
        if (isLocked && !request.signal.aborted && request.secrets.length === 0)
          return err({ type: 'failed', message: 'the sandbox is in use' });
        const exit = await run(request);
        isLocked ||= exit.isErr();
        return exit;
      };
    },
  },
  {
    name: 'abort-ends-all',
    breaks: 'abortsOne',
    first: ['ends only the one that is aborted'],
    run: (run) => {
      const all = new AbortController();
      return (request) => {
        request.signal.addEventListener('abort', () => all.abort(request.signal.reason));
        return run({ ...request, signal: AbortSignal.any([request.signal, all.signal]) });
      };
    },
  },
  {
    name: 'forgets-to-kill',
    breaks: 'settles',
    first: ['ends what runs, and keeps what it printed'],
    run: (run) => (request) => run({ ...request, signal: new AbortController().signal }),
  },
];

export const exitMutants: readonly Mutant[] = [...answers, ...aborts].map(sandboxMutant);

function recode(exit: Exit, change: (code: number) => number): Exit {
  return exit.type === 'exited' ? { ...exit, code: change(exit.code) } : exit;
}

/** As it looks right until somebody has a quote in an argument. */
function quoted(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w/.-]*$/.test(word) ? word : `"${word}"`)).join(' ');
}
