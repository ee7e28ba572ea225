import { err, ok, type Result, runCommand } from '@snapstep/core';
import { execa } from 'execa';
import { EXIT, type Failure, machineFailure } from './failure.ts';

/** A whole file tree with numeric owners, ACLs and extended attributes, its members in a fixed order. */
const CREATE = [
  '--create',
  '--format=posix',
  '--sort=name',
  '--numeric-owner',
  '--acls',
  '--xattrs',
  '--xattrs-include=*',
];

export interface TarOptions {
  readonly signal: AbortSignal;
}

/** Writes a tar file of the content of a directory. */
export async function tarToFile(
  directory: string,
  { file, signal }: TarOptions & { readonly file: string },
): Promise<Result<void, Failure>> {
  const args = [...CREATE, '--file', file, '--force-local', '--directory', directory, '.'];
  const written = await runCommand('tar', args, { signal });
  if (written.isOk()) return ok();
  return err(machineFailure(written.error.type === 'failed' ? written.error.message : 'stopped'));
}

/** Streams the same to standard output: bytes that no string could hold. */
export async function tarToStdout(directory: string, { signal }: TarOptions): Promise<Result<void, Failure>> {
  const ended = await execa('tar', [...CREATE, '--file', '-', '--directory', directory, '.'], {
    reject: false,
    stdin: 'ignore',
    stdout: 'inherit',
    cancelSignal: signal,
    env: { LC_ALL: 'C' },
  });
  if (!ended.failed) return ok();
  if (ended.signal === 'SIGPIPE') return err({ exitCode: EXIT.brokenPipe, message: '' });
  return err(machineFailure([ended.shortMessage, ended.stderr].filter(Boolean).join(': ')));
}
