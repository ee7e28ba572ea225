import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { hostTool } from '../host-tool.ts';
import { keepsEqual } from '../promise.ts';
import { sandboxPromises as promises } from './promises.ts';
import type { SandboxScene, SandboxTest } from './scene.ts';

/** What a command leaves running ends with it. */
export function processTests(test: SandboxTest): void {
  for (const [kind, start] of Object.entries(kinds)) {
    test(`ends ${kind}, when the command ends`, async (scene) => {
      const mark = makeMark();
      await leaveRunning(scene, { mark, script: start(mark) });
      await expectGone(mark);
    });
  }
  test('ends everything, also where the command failed', async (scene) => {
    const mark = makeMark();
    await leaveRunning(scene, { mark, script: started(`(sleep ${mark} &)`), exit: 3 });
    await expectGone(mark);
  });
}

/** Prints, and gives the host the time to look. */
export function look(seconds = 0.5): string {
  return `echo started; sleep ${seconds} 2>/dev/null || sleep ${Math.ceil(seconds)}`;
}

const kinds: Readonly<Record<string, (mark: string) => string>> = {
  'a process in the background': (mark) => started(`sleep ${mark} &`),
  'a process that holds the output open in a process that forked twice': (mark) =>
    started(`( (sleep ${mark} &) & )`),
  'a process that changed its session': (mark) => started(inSession(`sleep ${mark}`)),
  'a process that closed its streams and changed its session': (mark) =>
    started(inSession(`exec sleep ${mark} <&- >/dev/null 2>&1`)),
  'a daemon, which forked twice in a session of its own': (mark) =>
    started(inSession(`(exec sleep ${mark} <&- >/dev/null 2>&1 &)`)),
  'processes that ignore signals': (mark) =>
    started(inSession(`trap "" TERM INT HUP; sleep ${mark}; sleep ${mark}`)),
};

/**
 * Runs a script to its end, and makes sure that there was something to be ended when it printed. A busy host may look too
 * late: then it is run again, and lasts longer.
 */
async function leaveRunning(
  scene: SandboxScene,
  { mark, script, exit = 0 }: { readonly mark: string; readonly script: string; readonly exit?: number },
): Promise<void> {
  const seen: string[] = [];
  const write = async () => void seen.push(...(await commandLinesWith(`sleep ${mark}`)));
  for (const seconds of [0.5, 3, 10]) {
    await scene.run(`${script}; ${look(seconds)}; exit ${exit}`, { output: { write } });
    if (scene.hidesProcesses || seen.length > 0) return;
  }
  assert.fail('the command has started nothing that could be ended');
}

/** In a session of its own where there is `setsid`; forked twice in any case. */
export function inSession(script: string): string {
  return `if command -v setsid >/dev/null; then (setsid sh -c '${script}' &); else ( (${script}) & ); fi`;
}

/** Gives what a script starts the time to begin, so that there is something to end. */
export function started(script: string): string {
  return `${script}\nsleep 0.2 2>/dev/null || sleep 1`;
}

/** A number of seconds that tells a `sleep` from all others of the machine. */
export function makeMark(): string {
  return `4${Math.floor(Math.random() * 1e8)
    .toString()
    .padStart(8, '0')}`;
}

export async function expectGone(mark: string): Promise<void> {
  keepsEqual(promises.gone, await commandLinesWith(mark), []);
}

/** The command lines of the host's processes that contain a text. */
export async function commandLinesWith(text: string): Promise<readonly string[]> {
  return (await processesWith(text)).map(({ line }) => line);
}

/** The numbers of the host's processes whose command line contains a text. */
export async function pidsWith(text: string): Promise<readonly string[]> {
  return (await processesWith(text)).map(({ pid }) => pid);
}

interface HostProcess {
  readonly pid: string;
  readonly line: string;
}

async function processesWith(text: string): Promise<readonly HostProcess[]> {
  return (await hostProcesses()).filter(({ line }) => line.includes(text));
}

async function hostProcesses(): Promise<readonly HostProcess[]> {
  if (process.platform !== 'linux') {
    const lines = (await hostTool('ps', ['-A', '-o', 'pid=,args='])).split('\n');
    return lines.map((line) => ({ pid: line.trim().split(' ')[0] ?? '', line }));
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return Promise.all(
    pids.map(async (pid) => {
      const bytes = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
      return { pid, line: bytes.replaceAll('\0', ' ').trimEnd() };
    }),
  );
}

/** Resolves once the command has printed something. */
export async function runUntilPrinted(
  scene: SandboxScene,
  script: string,
): Promise<{ readonly controller: AbortController; readonly running: ReturnType<SandboxScene['run']> }> {
  const controller = new AbortController();
  const printed = Promise.withResolvers<void>();
  const output = { write: async () => printed.resolve() };
  const running = scene.run(script, { output, signal: controller.signal });
  await Promise.race([printed.promise, running]);
  return { controller, running };
}
