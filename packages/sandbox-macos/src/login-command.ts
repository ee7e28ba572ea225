export interface LoginCommand {
  /** The short name of a local user. */
  readonly user: string;
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  /** Set after the profiles, so that it wins over them. */
  readonly env: Readonly<Record<string, string>>;
  /** The `PATH` before the profiles, which may add to it. */
  readonly path?: string;
  /** Gets the exit code of the command as a line. Without that line the session was ended from outside. */
  readonly report?: string;
  /** What runs the shell of the session, such as `sandbox-exec` and its arguments. */
  readonly wrapper?: readonly string[];
}

/** Sourced before each command where they exist, in this order. */
const PROFILES = ['.obuilder_profile.sh', '.snapstep_profile.sh'];

/**
 * Works in every POSIX shell. Arguments: report, directory, PATH, what `env` gets.
 *
 * The report is there because su(1) exits with 0 when its shell was killed. A profile does not get the standard input,
 * which is the command's, and one that exits does not pass for the command.
 */
const SCRIPT = `
exec 2>&1
umask 022
__report=$1 __directory=$2 __path=$3
if [ -n "$__path" ]; then PATH=$__path; export PATH; fi
shift 3
trap 'echo "snapstep: the command was not run, since $__profile ended the shell"; __status=125; __end' EXIT
__end() { if [ -n "$__report" ]; then echo "$__status" >"$__report"; fi; trap - EXIT; exit "$__status"; }
for __profile in ${PROFILES.map((name) => `"$HOME/${name}"`).join(' ')}; do
  if [ -r "$__profile" ]; then . "$__profile" </dev/null; fi
done
trap - EXIT
if [ -z "$__path" ]; then unset PATH; fi
if cd -- "$__directory"; then unset OLDPWD; /usr/bin/env -- "$@"; else (exit 125); fi
__status=$?
__end`;

/**
 * The arguments of `su` that run a command as a local user in a login session, with a directory and variables.
 *
 * `su -l USER -c COMMAND` gives its command to the user's shell as text. So the text is always the same kind of
 * thing: a constant script, and each argument of it in single quotes.
 *
 * Standard error goes to standard output, so that their order is kept.
 *
 * @throws TypeError if the name of a variable could not be one, or anything holds a NUL.
 */
export function suArguments(command: LoginCommand): string[] {
  const { user, argv, cwd, env, path = '', report = '', wrapper = [] } = command;
  const bad = Object.keys(env).find((name) => name === '' || name.includes('='));
  if (bad !== undefined) throw new TypeError(`"${bad}" cannot be the name of a variable`);
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const args = [report, cwd, path, ...variables, ...notAVariable(argv)];
  if (args.some((arg) => arg.includes('\0'))) throw new TypeError('an argument holds a NUL');
  const words = [...wrapper, '/bin/sh', '-c', SCRIPT, 'snapstep', ...args];
  return ['-l', user, '-c', words.map(quote).join(' ')];
}

/** A command with "=" in its name would be one more variable to `env`. */
function notAVariable(argv: readonly string[]): readonly string[] {
  return argv[0]?.includes('=') ? ['/bin/sh', '-c', 'exec "$@"', 'sh', ...argv] : argv;
}

/** One word of a shell, whatever is in it. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
