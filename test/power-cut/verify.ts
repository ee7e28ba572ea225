import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { contextsOf } from './life.ts';
import type { Found, VerifierTask } from './messages.ts';

const PROGRAM = fileURLToPath(new URL('verifier-process.ts', import.meta.url));
const PATIENCE_MS = 600_000;
/** Takes the place of `/proc/sys/kernel/random/boot_id`: what a boot of the machine is known by. */
const AFTER_ANOTHER_BOOT = 'mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"';

/**
 * Opens what a cut has left, as after the next start of the machine, in a process of its own.
 *
 * @param directory - Of the life that was cut.
 */
export async function verify(directory: string, task: Omit<VerifierTask, 'at' | 'contexts'>): Promise<Found> {
  const at = `${task.file}.mounted`;
  const bootId = `${task.file}.boot_id`;
  await mkdir(at);
  await writeFile(bootId, `${randomUUID()}\n`);
  const argument = JSON.stringify({ ...task, at, contexts: contextsOf(directory) });
  const inItsOwn = ['--mount', '--propagation', 'slave', 'sh', '-c', AFTER_ANOTHER_BOOT, 'sh', bootId];
  const { stdout, failed, all, shortMessage } = await execa(
    'unshare',
    [...inItsOwn, process.execPath, PROGRAM, argument],
    // It starts in half the time if it need not be compiled each time.
    {
      env: { NODE_COMPILE_CACHE: join(directory, 'compiled') },
      all: true,
      reject: false,
      timeout: PATIENCE_MS,
    },
  );
  await rm(at, { recursive: true });
  const nothing = { saved: [], wrong: [], printed: '', troubles: [] };
  if (failed) return { ...nothing, unopened: `${shortMessage}\n${all}` };
  return JSON.parse(stdout.split('\n').at(-1) ?? '') as Found;
}
