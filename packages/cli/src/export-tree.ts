import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result, runCommand } from '@snapstep/core';
import { type Failure, machineFailure, usageFailure } from './failure.ts';
import { tarToFile } from './tar.ts';
import { viaPartial } from './via-partial.ts';

/** The volumes of a snapshot: their names, and where each is on the host. */
export type Trees = ReadonlyMap<string, string>;

export interface ExportOptions {
  /** At least one. A single one becomes the destination itself; several go below it by name. */
  readonly trees: Trees;
  readonly signal: AbortSignal;
}

/**
 * Copies trees into a directory that does not exist or is empty, with owners, times, links and extended
 * attributes. The destination is there when it is whole. A step's files may be set-uid programs of root: nobody can reach
 * them before the destination has its mode.
 *
 * @param options.mode - Of the destination itself.
 */
export async function exportDirectory(
  to: string,
  { trees, mode, signal }: ExportOptions & { readonly mode: number },
): Promise<Result<void, Failure>> {
  const whole = 'tree';
  const make = async (partial: string): Promise<Result<void, Failure>> => {
    if (!(await isFree(to))) return err(usageFailure(`${to} exists and is not an empty directory`));
    await mkdir(partial, { mode: 0o700 });
    const top = join(partial, whole);
    if (trees.size > 1) await mkdir(top);
    for (const [name, tree] of trees) {
      const target = trees.size === 1 ? top : join(top, name);
      const copied = await runCommand('cp', ['-aT', '--reflink=auto', '--', tree, target], { signal });
      if (copied.isErr()) {
        return err(machineFailure(copied.error.type === 'failed' ? copied.error.message : 'stopped'));
      }
    }
    await chmod(top, mode);
    return ok();
  };
  return viaPartial(to, make, whole);
}

/** Writes one tar file, which has its name when it is whole. */
export async function exportTar(
  to: string,
  { trees, signal }: ExportOptions,
): Promise<Result<void, Failure>> {
  const tree = onlyTree(trees);
  if (tree.isErr()) return err(tree.error);
  return viaPartial(to, (partial) => tarToFile(tree.value, { file: partial, signal }));
}

/** A tar file is one tree. */
export function onlyTree(trees: Trees): Result<string, Failure> {
  const [tree, ...more] = trees.values();
  if (tree !== undefined && more.length === 0) return ok(tree);
  return err(
    usageFailure(`this step has the volumes ${[...trees.keys()].join(', ')}: export it to a directory`),
  );
}

async function isFree(directory: string): Promise<boolean> {
  try {
    return (await readdir(directory)).length === 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true;
    if (error instanceof Error && 'code' in error && error.code === 'ENOTDIR') return false;
    throw error;
  }
}
