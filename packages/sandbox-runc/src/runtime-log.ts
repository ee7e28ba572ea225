import { readFile } from 'node:fs/promises';

/**
 * What a runtime says in its log about having failed; undefined if it started the command and has nothing to say.
 *
 * The log is the only sure sign: a runtime that fails exits with 1, as a command may. A log that does not exist
 * means that the runtime was never started.
 */
export async function runtimeFailure(log: string): Promise<string | undefined> {
  const text = await readFile(log, 'utf8').catch(() => undefined);
  if (text === undefined) return 'the runtime could not be started';
  const errors = text.split('\n').flatMap(errorOf);
  return errors.length === 0 ? undefined : errors.join('; ');
}

/**
 * The exit code that a shell gives for a command that it cannot start: 127 if there is none, 126 if it cannot be
 * executed; undefined if the failure was another one.
 */
export function commandNotStarted(failure: string): 126 | 127 | undefined {
  if (!/exec|executable/.test(failure)) return undefined;
  if (/executable file (`.*` )?not found|no such file or directory/i.test(failure)) return 127;
  const cannot =
    'permission denied|operation not permitted|exec format error|is a directory|argument list too long';
  if (new RegExp(`exec.*(${cannot})`, 'i').test(failure)) return 126;
  return undefined;
}

/**
 * The same for what a runtime says when only the very last system call, that to become the command, fails. Its log is
 * out of its reach by then, so it says it where the command would have written, and exits with 1. A command can print
 * the same line; then it has chosen its exit code that way.
 *
 * @param output - All that came out.
 * @param program - What was to be executed, which the line must name.
 */
export function commandNotExecuted(output: string, program: string): 126 | 127 | undefined {
  const lines = output.trimEnd().split('\n');
  const [line = ''] = lines;
  const message = errorOf(line)[0] ?? line;
  const isRuntimes = /^exec container process\b.*`|^exec \S+: [a-z ]+$/.test(message);
  if (lines.length > 1 || !isRuntimes || !message.includes(program)) return undefined;
  return commandNotStarted(message);
}

function errorOf(line: string): string[] {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('msg' in entry)) return [];
    // crun's entries of this level are about failures only; runc also logs warnings.
    if ('level' in entry && entry.level !== 'error' && entry.level !== 'fatal') return [];
    return [String(entry.msg)];
  } catch {
    return [];
  }
}
