import createDebug from 'debug';
import { execa } from 'execa';
import { err, ok, type Result } from 'neverthrow';
import { type Cancelled, cancelled, type Failed } from './failures.ts';
import { hasSpareDescriptors } from './spare-descriptors.ts';

export interface CommandOptions {
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** How its output is read: `latin1` gives a character for each byte. Default: `utf8`. */
  readonly encoding?: 'utf8' | 'latin1';
  /** Who it runs as, for a caller that is root. Default: the caller. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** A command that ran and did not exit with 0, or that could not be started. */
export interface CommandFailed extends Failed {
  /** Undefined if it was killed by a signal or never started. */
  readonly exitCode: number | undefined;
  readonly stderr: string;
}

/**
 * Runs one program of the host to its end, without a shell and with `LC_ALL=C`.
 *
 * Aborting kills it (TERM, then KILL after five seconds); the promise settles when it is gone.
 *
 * @returns Its standard output.
 */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Result<string, CommandFailed | Cancelled>> {
  if (options.signal?.aborted) return err(cancelled(options.signal));
  const debug = createDebug(`snapstep:${file.slice(file.lastIndexOf('/') + 1)}`);
  debug('%s %o', file, args);
  if (!hasSpareDescriptors()) return err(notStarted(file, 'too many open files (EMFILE)'));
  const child = execa(file, args, {
    reject: false,
    stripFinalNewline: false,
    encoding: options.encoding ?? 'utf8',
    env: { ...(options.user && { PATH: process.env.PATH }), ...options.env, LC_ALL: 'C' },
    // What the host program has in its environment is none of another user's business.
    extendEnv: options.user === undefined,
    forceKillAfterDelay: 5000,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.user && { uid: options.user.uid, gid: options.user.gid }),
    ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  const result = await child;
  debug('%s ended with %o: %s', file, result.exitCode, result.stderr);
  if (!result.failed) return ok(result.stdout);
  if (options.signal?.aborted) return err(cancelled(options.signal));
  return err({
    type: 'failed',
    message: describe(file, args, result),
    exitCode: result.exitCode,
    stderr: result.stderr,
    cause: result.originalMessage ?? result.shortMessage,
  });
}

function notStarted(file: string, why: string): CommandFailed {
  return { type: 'failed', message: `"${file}" cannot be started: ${why}`, exitCode: undefined, stderr: '' };
}

function describe(
  file: string,
  args: readonly string[],
  result: {
    exitCode?: number | undefined;
    signal?: string | undefined;
    stderr: string;
    code?: string | undefined;
    originalMessage?: string | undefined;
  },
): string {
  const command = [file, ...args].join(' ');
  if (result.code === 'ENOENT')
    return `"${file}" is not installed or not on the PATH (needed for: ${command})`;
  if (result.code !== undefined && result.exitCode === undefined && result.signal === undefined)
    return notStarted(file, result.originalMessage ?? result.code).message;
  const how = result.signal ? `was killed by ${result.signal}` : `exited with ${result.exitCode}`;
  return `"${command}" ${how}: ${result.stderr.trim() || 'it printed no reason'}`;
}
