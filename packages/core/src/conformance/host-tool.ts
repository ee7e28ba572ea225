import assert from 'node:assert/strict';
import { type CommandOptions, runCommand } from '../backend/command.ts';

/** Runs a program that the suite itself needs. That it fails breaks no promise, and the message says so. */
export async function hostTool(
  file: string,
  args: readonly string[],
  options?: CommandOptions,
): Promise<string> {
  const done = await runCommand(file, args, options);
  if (done.isOk()) return done.value;
  return assert.fail(`this test needs a program that did not do its work here: ${done.error.message}`);
}
