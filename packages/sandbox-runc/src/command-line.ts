import { err, type Failed, ok, type Result, resolveInside } from '@snapstep/core/backend';
import type { Runtime } from './runtime.ts';

const SHELL = '/bin/sh';

/** What the runtimes and shells add to an environment. */
const ADDED = ['HOME', 'PATH', 'PWD', 'OLDPWD', 'SHLVL'];

/**
 * The command with its standard error going where its standard output goes, so that their order is kept, and with
 * nothing added to its environment.
 *
 * crun hands on the one pipe we give it twice. runc puts two pipes of its own in between, so there the image's
 * shell joins the two. Both add a `HOME` where there is none, which the shell takes away. Without a shell, or with
 * variables whose names a shell would drop, the command stays as it is, and its two streams may arrive mixed up.
 */
export async function commandLine(
  runtime: Runtime,
  rootfs: string,
  command: { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> },
): Promise<Result<readonly string[], Failed>> {
  const names = Object.keys(command.env);
  if (runtime.kind === 'crun' && names.includes('HOME')) return ok(command.argv);
  if (!names.every((name) => /^[A-Za-z_]\w*$/.test(name))) return ok(command.argv);
  const shell = await resolveInside(rootfs, SHELL, { followLast: true });
  if (shell.isErr()) return err(shell.error);
  if (shell.value.missing.length > 0) return ok(command.argv);
  const added = ADDED.filter((name) => !names.includes(name)).join(' ');
  const script = `${added === '' ? '' : `unset ${added}; `}exec "$0" "$@" 2>&1`;
  return ok([SHELL, '-c', script, ...command.argv]);
}
