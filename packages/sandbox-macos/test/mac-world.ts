import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { describe } from 'vitest';

/** The world is made of an overlay over this machine, with programs in Perl. */
export function needsMacWorld(title: string, body: () => void): void {
  const hasOverlay = readFileSync('/proc/filesystems', 'utf8').includes('\toverlay\n');
  if (hasOverlay) {
    needs('root')(title, body);
    return;
  }
  if (process.env.CI && process.getuid?.() === 0) throw new Error('this machine lacks overlayfs');
  describe.skip(`${title} (needs overlayfs)`, body);
}

/** Runs a file of `world` with Node's test runner, where a Mac's directories and tools are. */
export async function inMacWorld(
  file: string,
): Promise<{ readonly failures: readonly string[]; readonly passed: number }> {
  const world = join(import.meta.dirname, 'mac/world');
  // Node's runner hands out a variable by which a run in a run would report to the outer one.
  const env = { PATH: process.env.PATH ?? '', HOME: '/root', LC_ALL: 'C.UTF-8' };
  const args = ['--test', '--test-reporter=tap', join(import.meta.dirname, 'world', file)];
  const { stdout, stderr } = await execa(world, [process.execPath, ...args], {
    env,
    extendEnv: false,
    reject: false,
  });
  const passed = Number(/^# pass (\d+)$/m.exec(stdout)?.[1] ?? 0);
  const isWhole = /^# fail \d+$/m.test(stdout);
  return {
    failures: isWhole ? failuresIn(stdout) : [`it did not come to its end: ${stdout}${stderr}`],
    passed,
  };
}

/** Each test that failed, with what was said about it. */
function failuresIn(tap: string): readonly string[] {
  const blocks = tap.split(/^(?= *(?:not )?ok \d+ )/m).filter((block) => /^ *not ok/.test(block));
  return blocks.map((block) => block.slice(0, 2000));
}
