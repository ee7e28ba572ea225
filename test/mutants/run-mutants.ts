import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { detachBelow, orThrow, runCommand } from '@snapstep/core/backend';
import type { Verdict } from './mutant.ts';
import type { Kind } from './mutants.ts';

const script = join(import.meta.dirname, 'mutant-process.ts');
/** For the whole suite, if nothing kills the mutant. */
const MINUTES = 8;

/**
 * Lets the suite of a mutant run in a process of its own, with a directory for temporary files of its own. What it
 * leaves running is killed, what it leaves mounted there is unmounted, and what it leaves on disk is deleted.
 */
export async function runMutant(
  mutant: { readonly kind: Kind; readonly name: string },
  signal: AbortSignal = new AbortController().signal,
): Promise<Verdict> {
  await using temp = await privateTemp();
  const env = { ...process.env, TMPDIR: temp.path };
  const child = fork(script, [mutant.kind, mutant.name], {
    env,
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  const stop = () => kill(child);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(MINUTES * 60_000)]);
  limit.addEventListener('abort', stop);
  if (limit.aborted) stop();
  try {
    return await verdictOf(child);
  } finally {
    limit.removeEventListener('abort', stop);
    stop();
  }
}

async function verdictOf(child: ChildProcess): Promise<Verdict> {
  let verdict: Verdict | undefined;
  let output = '';
  child.on('message', (message) => {
    verdict = message as Verdict;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  }
  const [code, signal] = await once(child, 'exit');
  if (verdict !== undefined) return verdict;
  const message = `the process ended with ${signal ?? code}: ${output.slice(-2000)}`;
  return { type: 'failed-otherwise', test: 'none', message };
}

/** The process and what it started, which is in its process group unless it left it on purpose. */
function kill(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nothing of it runs any more.
  }
}

async function privateTemp(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'snapstep-mutant-'));
  return {
    path,
    async [Symbol.asyncDispose]() {
      orThrow(await detachBelow(path));
      orThrow(await runCommand('rm', ['-rf', '--', path]));
    },
  };
}
