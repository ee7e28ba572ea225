import { err, ok, type Result } from 'neverthrow';
import { runCommand } from '../backend/command.ts';
import type { StoreError } from '../backend/failures.ts';
import { commandFailure } from '../backend/store-failure.ts';

/** Nothing that differs from one writing to the next: neither the order of names nor times of reading. */
const SAME_EACH_TIME = ['--sort=name', '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime'];
const EVERYTHING = ['--numeric-owner', '--acls', '--xattrs', '--xattrs-include=*'];

/** Writes an archive of all that is in a directory, with GNU tar: equal trees give equal bytes. Sockets are left out. */
export async function createTar(
  directory: string,
  options: { readonly file: string; readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  const { file } = options;
  return tar(
    ['--create', '--format=posix', ...SAME_EACH_TIME, ...EVERYTHING, `--file=${file}`, '-C', directory, '.'],
    options,
  );
}

/** Unpacks such an archive into a directory that exists. */
export async function extractTar(
  file: string,
  options: { readonly into: string; readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  return tar(
    ['--extract', '--same-permissions', ...EVERYTHING, `--file=${file}`, '-C', options.into],
    options,
  );
}

async function tar(
  args: readonly string[],
  { signal }: { readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  const done = await runCommand('tar', args, signal ? { signal } : {});
  return done.isOk() ? ok() : err(commandFailure(done.error));
}
