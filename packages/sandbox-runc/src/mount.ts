import { type Cancelled, type CommandFailed, type Result, runCommand } from '@snapstep/core/backend';

type Ran = Promise<Result<string, CommandFailed | Cancelled>>;

/** Mounts a fresh tmpfs that only root can enter. Set-user-id programs and device nodes mean nothing in it. */
export function mountTmpfs(target: string): Ran {
  return runCommand('mount', ['-t', 'tmpfs', '-o', 'mode=0700,nosuid,nodev', 'snapstep', target]);
}

/** Mounts a directory on itself, so that nobody can change anything by a descriptor of what is in it. */
export function sealDirectory(path: string): Ran {
  return runCommand('mount', ['-o', 'bind,ro,nosuid,nodev,noexec', path, path]);
}

/** Takes a mount and those below it away at once; the kernel lets go of it when its last user does. */
export function detach(target: string): Ran {
  return runCommand('umount', ['--lazy', '--recursive', '--', target]);
}
