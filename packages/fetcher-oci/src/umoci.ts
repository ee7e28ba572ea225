import { type Cancelled, type CommandFailed, type Result, runCommand } from '@snapstep/core/backend';

export interface UnpackOptions {
  /** An OCI layout, relative to `cwd` and without a colon in its name, which umoci would misread. */
  readonly layout: string;
  readonly tag: string;
  /** A private directory, where `guard/rootfs` is made. */
  readonly cwd: string;
  readonly rootfs: string;
  readonly signal: AbortSignal;
}

/**
 * `.wh...` in a layer makes umoci 0.4.7 delete the parent of the root file system. So the parent it sees is an
 * empty directory, in a mount namespace that ends with it, however it ends. The umask is for directories that
 * no layer names.
 */
const IN_A_GUARDED_PLACE =
  'umask 022 && mkdir -p guard/rootfs && mount --bind -- "$1" guard/rootfs && ' +
  'exec umoci raw unpack --image "$2" guard/rootfs';

/**
 * Applies the layers of an image to an empty directory, checking each against its digest and diff id.
 * When it fails, umoci empties the directory.
 */
export function unpackRootfs(options: UnpackOptions): Promise<Result<string, CommandFailed | Cancelled>> {
  const { layout, tag, cwd, rootfs, signal } = options;
  const guarded = ['sh', '-c', IN_A_GUARDED_PLACE, 'umoci', rootfs, `${layout}:${tag}`];
  return runCommand('unshare', ['--mount', '--propagation', 'slave', '--', ...guarded], { cwd, signal });
}

/** What umoci's standard error says went wrong. */
export function umociReason(failure: CommandFailed): string {
  const reason = /⨯ (.*)/.exec(failure.stderr)?.[1] ?? failure.stderr;
  return reason.trim() || failure.message;
}
