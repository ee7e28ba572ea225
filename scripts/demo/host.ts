import { runCommand } from '@snapstep/core';

/** Runs a program of the host. @throws Error if it fails: the demo then stops, and says why. */
export async function host(
  file: string,
  args: readonly string[],
  options: Parameters<typeof runCommand>[2] = {},
): Promise<string> {
  const result = await runCommand(file, args, options);
  if (result.isOk()) return result.value;
  throw result.error.type === 'cancelled' ? result.error.reason : new Error(result.error.message);
}
