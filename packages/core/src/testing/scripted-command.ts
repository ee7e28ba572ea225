import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { orThrow } from '../backend/failures.ts';
import { resolveInside } from '../backend/inside.ts';
import type { HostPath, VolumeName } from '../backend/names.ts';
import type { Exit, RunRequest } from '../backend/sandbox.ts';

/** What a command of a script has to work with. */
export interface CommandIo {
  /** As the builder made it; its signal is aborted by a limit as well. */
  readonly request: RunRequest;
  /** The step's root file system. */
  readonly root: HostPath;
  /** Where each of the step's volumes is. */
  readonly volumes: ReadonlyMap<VolumeName, HostPath>;
  /** Where a cache is, by its target. */
  readonly mounts: ReadonlyMap<string, HostPath>;
  /** Waits on the clock of the sandbox, or until the step is ended; without a clock until it is ended. */
  readonly sleep: (milliseconds: number) => Promise<void>;
}

/** What a command does, in place of a process. An exit code of 0 may be left out. */
export type ScriptedCommand = (io: CommandIo) => Promise<Exit | number | undefined>;

/** A command that is expected, and what it does: first it prints, then it writes, then it takes its time, then it ends. */
export interface ExpectedCommand {
  /** The text that the spec gives, a pattern that is in it, or a question about the whole request. */
  readonly command: string | RegExp | ((request: RunRequest) => boolean);
  readonly prints?: string | Uint8Array;
  /** What it makes of files, by their paths in the step's world: `null` deletes. A path in a cache changes the cache. */
  readonly writes?: Readonly<Record<string, string | Uint8Array | null>>;
  /** Whatever cannot be said otherwise; what it gives back counts if `ends` is absent. */
  readonly does?: ScriptedCommand;
  /** How many milliseconds of the sandbox's clock it runs. */
  readonly takesMs?: number;
  /** An exit code, any other end, or `never`: until the step is aborted or a limit ends it. Default: 0. */
  readonly ends?: Exit | number | 'never';
}

/** The function that does what an expectation says. */
export function commandOf(expected: ExpectedCommand): ScriptedCommand {
  return async (io) => {
    if (expected.prints !== undefined) await io.request.output.write(expected.prints);
    for (const [path, content] of Object.entries(expected.writes ?? {})) await change(io, { path, content });
    const exit = await expected.does?.(io);
    if (expected.takesMs !== undefined) await io.sleep(expected.takesMs);
    if (expected.ends === 'never') await io.sleep(Number.POSITIVE_INFINITY);
    return expected.ends === 'never' ? undefined : (expected.ends ?? exit);
  };
}

export function describeExpected({ command }: ExpectedCommand): string {
  return typeof command === 'string' ? `"${command}"` : `${command}`;
}

export function matches({ command }: ExpectedCommand, request: RunRequest): boolean {
  const text = commandText(request);
  if (typeof command === 'string') return command === text;
  return command instanceof RegExp ? command.test(text) : command(request);
}

/** A command as the spec gives it: the last argument, which is the text for the shell. */
export function commandText(request: RunRequest): string {
  return request.argv.at(-1) ?? '';
}

async function change(
  { root, mounts }: CommandIo,
  { path, content }: { readonly path: string; readonly content: string | Uint8Array | null },
): Promise<void> {
  const target = [...mounts.keys()].find((mount) => path.startsWith(`${mount}/`));
  const within = target === undefined ? root : (mounts.get(target) ?? root);
  const rest = target === undefined ? path : path.slice(target.length);
  const found = orThrow(await resolveInside(within, rest, { followLast: content !== null }));
  const file = join(found.existing, ...found.missing);
  if (content === null) return rm(file, { recursive: true });
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}
