import { cancelled, type Exit, err, ok } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { type SandboxBreakage, sandboxMutant } from './sandbox-mutant.ts';

const answers: readonly SandboxBreakage[] = [
  {
    name: 'code-without-128',
    promise: 'an exit code is the one that the command gave',
    killedBy: /exit is an answer: `exited` with its code/,
    first: ['answers with the exit code'],
    run: (run) => async (request) => (await run(request)).map((exit) => recode(exit, (code) => code & 0x7f)),
  },
  {
    name: 'signal-without-prefix',
    promise: 'a code over 128 of a shell is a code, and a signal has its prefix',
    killedBy: /exit is an answer: `exited` with its code/,
    first: ['code of a shell where a signal ended'],
    run: (run) => async (request) =>
      (await run(request)).map((exit) =>
        exit.type === 'exited' && exit.code === 143 ? { type: 'signalled', signal: 'TERM' } : exit,
      ),
  },
  {
    name: 'failure-of-runtime',
    promise: 'a command that is not there exits with 127',
    killedBy: /a command that does not exist exits with 127/,
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
    promise: 'a line in the log names the command that is not there',
    killedBy: /a line in the log names the command that does not exist/,
    first: ['answers 127'],
    run: (run) => (request) => run({ ...request, output: { write: async () => {} } }),
  },
  {
    name: 'path-of-its-own',
    promise: 'a command is looked up in the `PATH` of its environment',
    killedBy: /a command is looked up in the `PATH` of `env`/,
    first: ['looks a command up in the PATH'],
    run: (run) => (request) => {
      const [name, ...rest] = request.argv;
      const found = name.includes('/') ? name : `/bin/${name}`;
      return run({ ...request, argv: [found, ...rest] });
    },
  },
  {
    name: 'relative-command-from-the-root',
    promise: 'a command with a slash in its name is looked up from its directory',
    killedBy: /a command with a slash in its name is looked up from `cwd`/,
    first: ['looks a command up in the PATH'],
    run: (run) => (request) => run(request.argv[0].startsWith('./') ? { ...request, cwd: '/' } : request),
  },
  {
    name: 'not-executable-is-a-failure',
    promise: 'a command that cannot be executed exits with 126',
    killedBy: /a command that cannot be executed exits with 126/,
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
    promise: 'the arguments reach the command as they are',
    killedBy: /`argv` reaches the command as it is/,
    first: ['hands over every argument as it is'],
    run: (run) => (request) => run({ ...request, argv: ['/bin/sh', '-c', quoted(request.argv)] }),
  },
];

const aborts: readonly SandboxBreakage[] = [
  {
    name: 'abort-settles-early',
    promise: '`run` settles only once every process is gone and everything is unmounted',
    killedBy: /is unmounted when `run` settles|every process it started is gone/,
    first: ['ends what runs, and keeps what it printed'],
    run: (run) => (request) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      request.signal.addEventListener('abort', () => resolve());
      return Promise.race([run(request), promise.then(() => err(cancelled(request.signal)))]);
    },
  },
  {
    name: 'abort-is-exit-137',
    promise: 'an aborted `run` answers `cancelled`',
    killedBy: /an aborted `run` answers `cancelled`/,
    first: ['ends what runs, and keeps what it printed'],
    run: (run) => async (request) =>
      (await run(request)).orElse((error) =>
        error.type === 'cancelled' ? ok({ type: 'exited', code: 137 } as const) : err(error),
      ),
  },
  {
    name: 'abort-without-reason',
    promise: "a cancellation has the signal's reason",
    killedBy: /a cancellation has the signal's reason/,
    first: ['ends what runs, and keeps what it printed'],
    run: (run) => async (request) =>
      (await run(request)).mapErr((error) =>
        error.type === 'cancelled' ? { type: 'cancelled', reason: new Error('killed') } : error,
      ),
  },
  {
    name: 'abort-before-the-start-is-missed',
    promise: 'nothing is started after an abort',
    killedBy: /an aborted `run` answers `cancelled`|nothing is started after an abort/,
    first: ['starts nothing where it is aborted before'],
    run: (run) => (request) => {
      const controller = new AbortController();
      // A listener that comes too late never hears of it.
      request.signal.addEventListener('abort', () => controller.abort(request.signal.reason));
      return run({ ...request, signal: controller.signal });
    },
  },
  {
    name: 'abort-ends-all',
    promise: 'aborting ends one command, and no other',
    killedBy: /an abort ends no other command/,
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
    promise: 'aborting ends the command',
    killedBy: /`run` settles (once the command has ended|within a bound after an abort)/,
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
