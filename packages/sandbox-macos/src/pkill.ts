import { setTimeout as delay } from 'node:timers/promises';
import { type Cancelled, type CommandFailed, err, ok, type Result, runCommand } from '@snapstep/core/backend';
import type { MacosUser } from './macos-user.ts';

/** How long processes may take to end by themselves once they are asked to. */
const GRACE_MS = 800;

/** How long what was killed may take to be gone. */
const TEARDOWN_MS = 10_000;

/** How long the kernel may take to kill all of them. */
const KILL_MS = 1000;

/** How long it is waited until they are killed again. */
const ROUND_MS = 100;

/**
 * Ends every process of a real user id: asked first, then killed, within a bound.
 *
 * @returns The processes that are still there.
 */
export async function endProcesses(
  user: Pick<MacosUser, 'uid' | 'gid'>,
): Promise<Result<readonly string[], CommandFailed | Cancelled>> {
  const found = await signalAll(user.uid, 'TERM');
  if (found.isErr()) return err(found.error);
  if (!found.value) return ok([]);
  const asked = await untilGone(user.uid, GRACE_MS);
  if (asked.isErr() || asked.value.length === 0) return asked;
  return killAll(user);
}

/**
 * Kills what is about to begin a login session of the user: su(1) runs as root until then, so it is not among his processes.
 * It is for sessions whose owner is dead; a session that is watched ends with its own `su`.
 *
 * @returns Those that are still there.
 */
export async function endLogins(name: string): Promise<Result<readonly string[], CommandFailed | Cancelled>> {
  const pattern = `(^|/)su -l ${name.replaceAll(/[^A-Za-z0-9]/g, '[$&]')} `;
  const deadline = performance.now() + TEARDOWN_MS;
  for (;;) {
    const sent = await orNone(runCommand('pkill', ['-KILL', '-f', pattern]));
    if (sent.isErr()) return err(sent.error);
    if (sent.value === undefined) return ok([]);
    await delay(ROUND_MS);
    const left = await orNone(runCommand('pgrep', ['-f', pattern]));
    if (left.isErr()) return err(left.error);
    if (left.value === undefined || performance.now() > deadline) return ok(linesOf(left.value));
  }
}

/**
 * Kills until nothing is left. `pkill` lists processes before it kills them, and those that start others stay ahead of
 * it for ever on a busy machine; so the kernel is told first to kill all that the user may kill, in one call.
 */
async function killAll(
  user: Pick<MacosUser, 'uid' | 'gid'>,
): Promise<Result<readonly string[], CommandFailed | Cancelled>> {
  const deadline = performance.now() + TEARDOWN_MS;
  for (;;) {
    // It may kill itself as well, or find nothing: what is left says more than how it ended. The user's processes can
    // stop it: then the next line kills it with them.
    await Promise.race([
      runCommand('kill', ['-KILL', '-1'], { user }),
      delay(KILL_MS, undefined, { ref: false }),
    ]);
    const sent = await signalAll(user.uid, 'KILL');
    if (sent.isErr()) return err(sent.error);
    const left = await untilGone(user.uid, ROUND_MS);
    if (left.isErr() || left.value.length === 0 || performance.now() > deadline) return left;
  }
}

async function untilGone(
  uid: number,
  milliseconds: number,
): Promise<Result<readonly string[], CommandFailed | Cancelled>> {
  const deadline = performance.now() + milliseconds;
  for (let pause = 10; ; pause = Math.min(2 * pause, 250)) {
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
  return found.map(linesOf);
}

function linesOf(output: string | undefined): readonly string[] {
  return (output ?? '').split('\n').filter((line) => line !== '');
}

/** Both programs exit with 1 where no process matched. */
async function orNone(
  running: ReturnType<typeof runCommand>,
): Promise<Result<string | undefined, CommandFailed | Cancelled>> {
  const ran = await running;
  if (ran.isErr() && ran.error.type === 'failed' && ran.error.exitCode === 1) return ok(undefined);
  return ran;
}
