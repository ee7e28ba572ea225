import { err, type Failed, ok, type Result, resolveInside } from '@snapstep/core/backend';
import type { Runtime } from './runtime.ts';

const SHELL = '/bin/sh';
const SCRIPT = 'exec "$0" "$@" 2>&1';

/**
 * The command with its standard error going where its standard output goes, so that their order is kept.
 *
 * crun hands on the one pipe we give it twice. runc puts two pipes of its own in between, so there the image's
 * shell joins the two. Without a shell, or with variables whose names a shell would drop, the command stays as
 * it is, and its two streams may arrive mixed up.
 */
export async function inOneStream(
  runtime: Runtime,
  rootfs: string,
  command: { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> },
): Promise<Result<readonly string[], Failed>> {
  const names = Object.keys(command.env);
  if (runtime.kind === 'crun' || !names.every((name) => /^[A-Za-z_]\w*$/.test(name))) return ok(command.argv);
  const shell = await resolveInside(rootfs, SHELL, { followLast: true });
  if (shell.isErr()) return err(shell.error);
  return ok(shell.value.missing.length > 0 ? command.argv : [SHELL, '-c', SCRIPT, ...command.argv]);
}
