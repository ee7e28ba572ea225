import type { CgroupLayout } from './cgroup-layout.ts';

/**
 * Joins the cgroups, then becomes the runtime, so that no process is ever outside of them. If a cgroup is gone
 * (somebody else has cleaned up after us by then), nothing is started.
 *
 * Arguments: the log; the cgroups' `cgroup.procs` files; `--`; the command.
 */
const JOIN = `
  log=$1; shift
  while [ "$1" != -- ]; do
    echo 0 >"$1" || { echo '{"level":"error","msg":"cannot join the cgroup"}' >"$log"; exit 1; }
    shift
  done
  shift; exec "$@"`;

/** crun refuses to run where it sees cgroup v2 beside v1; in a mount namespace of its own it does not see it. */
const HIDE = `
  umount -- "$1" || { echo '{"level":"error","msg":"cannot hide cgroup v2 from crun"}' >"$2"; exit 1; }
  shift; ${JOIN}`;

/** The command line of the one process that becomes the runtime. */
export function launcher(
  layout: CgroupLayout,
  start: {
    readonly log: string;
    readonly join: readonly string[];
    readonly hide: boolean;
    readonly command: readonly string[];
  },
): readonly [string, ...string[]] {
  const rest = [start.log, ...start.join, '--', ...start.command];
  if (!start.hide || layout.hybridMount === undefined) return ['sh', '-c', JOIN, 'sh', ...rest];
  const hidden = ['sh', '-c', HIDE, 'sh', layout.hybridMount, ...rest];
  // Mounts of the host go on appearing in there, and nothing comes back out.
  return ['unshare', '--mount', '--propagation', 'slave', ...hidden];
}
