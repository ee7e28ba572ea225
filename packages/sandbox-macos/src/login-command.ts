export interface LoginCommand {
  /** The short name of a local user. */
  readonly user: string;
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Sourced before the command where it exists, such as `/Users/mac1000/.snapstep_profile.sh`. */
  readonly profile?: string;
}

/** Works in every POSIX shell. Arguments: profile, directory, number of variables, variables, command. */
const SCRIPT = `
profile=$1 directory=$2 count=$3
shift 3
if [ -n "$profile" ] && [ -r "$profile" ]; then . "$profile"; fi
cd -- "$directory" || exit 125
while [ "$count" -gt 0 ]; do
  name=$1 value=$2
  shift 2
  count=$((count - 1))
  export "$name=$value"
done
exec "$@"`;

/**
 * The arguments of `su` that run a command as a local user in a login session, with a directory and variables.
 *
 * `su -l USER -c COMMAND` gives its command to the user's shell as text. So the text is always the same kind of
 * thing: a constant script, and each argument of it in single quotes.
 *
 * @throws TypeError if the name of a variable could not be one in a shell, or anything holds a NUL.
 */
export function suArguments({ user, argv, cwd, env, profile = '' }: LoginCommand): string[] {
  const variables = Object.entries(env);
  const bad = variables.find(([name]) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (bad) throw new TypeError(`"${bad[0]}" cannot be the name of a variable`);
  const args = [profile, cwd, String(variables.length), ...variables.flat(), ...argv];
  if (args.some((arg) => arg.includes('\0'))) throw new TypeError('an argument holds a NUL');
  return ['-l', user, '-c', ['/bin/sh', '-c', SCRIPT, 'snapstep', ...args].map(quote).join(' ')];
}

/** One word of a shell, whatever is in it. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
