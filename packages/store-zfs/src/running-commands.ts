import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { err, ok, type Result, runCommand, type StoreError } from '@snapstep/core/backend';

const CHANGING = [
  'clone',
  'create',
  'destroy',
  'mount',
  'promote',
  'receive',
  'rename',
  'rollback',
  'set',
  'snapshot',
];

/**
 * Waits until no `zfs` of a killed owner works below the dataset any more: what it changes after we looked would come
 * as a surprise.
 *
 * @returns `busy` if one is still there after `timeoutMs`.
 */
export async function waitForRunning(
  dataset: string,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<Result<void, StoreError>> {
  const end = performance.now() + timeoutMs;
  for (let delay = 10; ; delay = Math.min(delay * 2, 500)) {
    const running = (await commandLines()).find(({ args }) => isChanging(args, dataset));
    if (running === undefined) return ok();
    const { pid, args } = running;
    const message = `process ${pid} of an earlier owner still runs: ${args.join(' ')}`;
    if (performance.now() > end) return err({ type: 'busy', message });
    await sleep(delay);
  }
}

interface CommandLine {
  readonly pid: string;
  readonly args: readonly string[];
}

/** Exported for tests. */
export function isChanging(args: readonly string[], dataset: string): boolean {
  // The second word is the program where an interpreter runs it.
  const at = args.slice(0, 2).findIndex((word) => /(^|\/)zfs$/.test(word));
  if (at < 0 || !CHANGING.includes(args[at + 1]?.replace(/^u(n)?mount$/, 'mount') ?? '')) return false;
  return args.slice(at + 2).some((word) => word === dataset || word.startsWith(`${dataset}/`));
}

async function commandLines(): Promise<readonly CommandLine[]> {
  if (process.platform !== 'linux') return printedCommandLines();
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.map((line, i) => ({ pid: pids[i] ?? '?', args: line.split('\0') }));
}

async function printedCommandLines(): Promise<readonly CommandLine[]> {
  const printed = await runCommand('ps', ['-axww', '-o', 'pid=,command=']);
  const lines = printed.isOk() ? printed.value.split('\n') : [];
  return lines.map((line) => {
    const [pid = '?', ...args] = line.trim().split(/\s+/);
    return { pid, args };
  });
}
