import { type Cancelled, type CommandFailed, type Result, runCommand } from '@snapstep/core/backend';

export interface ExtractOptions {
  readonly archive: string;
  readonly into: string;
  readonly signal: AbortSignal;
}

/** The umask is for directories that the archive does not name. */
const WITH_A_KNOWN_UMASK = 'umask 022 && exec tar "$@"';

/** Unpacks a tarball, whatever it is compressed with, with owners, ACLs and extended attributes. */
export function extractTar(options: ExtractOptions): Promise<Result<string, CommandFailed | Cancelled>> {
  const args = [
    ...['--extract', '--preserve-permissions', '--same-owner', '--numeric-owner'],
    ...['--acls', '--xattrs', '--xattrs-include=*', '--force-local'],
    ...['--file', options.archive, '--directory', options.into],
  ];
  return runCommand('sh', ['-c', WITH_A_KNOWN_UMASK, 'tar', ...args], { signal: options.signal });
}
