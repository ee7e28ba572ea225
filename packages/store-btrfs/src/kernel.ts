import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';

const OLDEST = [5, 8] as const;

/**
 * Refuses kernels on which many snapshots at once make every process that uses the file system hang for
 * minutes (https://github.com/ocurrent/obuilder/issues/47).
 *
 * @param release - What `uname -r` says, such as `6.1.0-18-amd64`.
 */
export function checkKernel(release: string): Result<void, Failed> {
  const needed = `Btrfs needs Linux ${OLDEST.join('.')} or later`;
  const hint = 'set allowOldKernel to use it all the same';
  const [, major, minor] = /^(\d+)\.(\d+)(?=\D|$)/.exec(release) ?? [];
  if (major === undefined || minor === undefined) {
    return err(failed(`${needed}, and "${release}" is not a kernel release that can be understood; ${hint}`));
  }
  const isOld = Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1]);
  return isOld ? err(failed(`${needed}, and this is ${release}; ${hint}`)) : ok();
}
