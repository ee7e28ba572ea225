import { setTimeout as delay } from 'node:timers/promises';
import { type Cancelled, type CommandFailed, err, ok, type Result, runCommand } from '@snapstep/core/backend';

/** How long processes may take to end by themselves once they are asked to. */
const GRACE_MS = 800;

/** How long what was killed may take to be gone. */
const TEARDOWN_MS = 10_000;

/**
 * Ends every process of a real user id: asked first, then killed, within a bound.
 *
 * @returns The processes that are still there.
 */
export async function endProcesses(
  uid: number,
): Promise<Result<readonly string[], CommandFailed | Cancelled>> {
  const found = await signalAll(uid, 'TERM');
  if (found.isErr()) return err(found.error);
  if (!found.value) return ok([]);
  const asked = await untilGone(uid, { milliseconds: GRACE_MS });
  if (asked.isErr() || asked.value.length === 0) return asked;
  return untilGone(uid, { milliseconds: TEARDOWN_MS, signal: 'KILL' });
}

/** Processes may start others until each of them has got the signal, so it is sent again and again. */
async function untilGone(
  uid: number,
  { milliseconds, signal }: { readonly milliseconds: number; readonly signal?: 'KILL' },
): Promise<Result<readonly string[], CommandFailed | Cancelled>> {
  const deadline = performance.now() + milliseconds;
  for (let pause = 10; ; pause = Math.min(2 * pause, 250)) {
    if (signal !== undefined) {
      const sent = await signalAll(uid, signal);
      if (sent.isErr()) return err(sent.error);
    }
    await delay(pause);
    const left = await processesOf(uid);
    if (left.isErr() || left.value.length === 0 || performance.now() > deadline) return left;
  }
}

/** @returns Whether there was any process. */
async function signalAll(
  uid: number,
  signal: 'TERM' | 'KILL',
): Promise<Result<boolean, CommandFailed | Cancelled>> {
  const sent = await orNone(runCommand('pkill', [`-${signal}`, '-U', `${uid}`]));
  return sent.map((output) => output !== undefined);
}

/** The numbers of all processes of a real user id. */
async function processesOf(uid: number): Promise<Result<readonly string[], CommandFailed | Cancelled>> {
  const found = await orNone(runCommand('pgrep', ['-U', `${uid}`]));
  return found.map((output) => (output ?? '').split('\n').filter((line) => line !== ''));
}

/** Both programs exit with 1 where no process matched. */
async function orNone(
  running: ReturnType<typeof runCommand>,
): Promise<Result<string | undefined, CommandFailed | Cancelled>> {
  const ran = await running;
  if (ran.isErr() && ran.error.type === 'failed' && ran.error.exitCode === 1) return ok(undefined);
  return ran;
}
