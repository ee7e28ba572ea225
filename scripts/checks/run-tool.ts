import { resolve } from 'node:path';
import { execa } from 'execa';

export const repository: string = resolve(import.meta.dirname, '../..');

export interface ToolOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
}

/**
 * Runs a tool of node_modules or of the PATH.
 *
 * @returns All that it printed, if it failed; undefined if it did not.
 */
export async function runTool(
  argv: readonly [string, ...string[]],
  options: ToolOptions,
): Promise<string | undefined> {
  const [file, ...args] = argv;
  const result = await execa(file, args, {
    cwd: options.cwd ?? repository,
    all: true,
    cancelSignal: options.signal,
    localDir: repository,
    preferLocal: true,
    reject: false,
    stdin: 'ignore',
  });
  if (!result.failed) return undefined;
  return `${result.all ?? ''}\n${result.shortMessage}`;
}
