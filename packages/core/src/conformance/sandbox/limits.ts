import type { LimitName } from '../../backend/sandbox.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { expectGone, inSession, makeMark } from './processes.ts';
import { sandboxPromises as promises } from './promises.ts';
import { describeRan, type Ran, type SandboxScene, type SandboxTest } from './scene.ts';

const MIB = 1024 * 1024;
/** Takes up to 512 MiB, then ends by itself. */
const EAT = 's=0123456789abcdef; i=0; while [ $i -lt 25 ]; do s=$s$s; i=$((i+1)); done; echo "${#s}"';
/** Says what it used of the processor, and the time before and after where the kernel tells it. */
const SPIN = `echo go; now() { read -r up rest </proc/uptime; echo "at $up"; } 2>/dev/null
now; i=0; while [ $i -lt 80000 ]; do i=$((i+1)); done; now; times; echo end`;

/** Each limit that the sandbox names in `enforces` holds, and the answer names it. */
export function limitTests(test: SandboxTest): void {
  declared(test, 'memoryBytes', 'ends a command that takes more memory than it may (R13)', async (scene) => {
    const ran = await scene.run(EAT, { limits: { memoryBytes: 48 * MIB } });
    expectExceeded(ran, 'memoryBytes');
    const small = await scene.outputOf('echo small', { limits: { memoryBytes: 48 * MIB } });
    keepsEqual(promises.withinLimits, small, 'small\n');
  });
  declared(test, 'memoryBytes', 'counts the memory of all processes of a command', async (scene) => {
    const ran = await scene.run(`sh -c '${EAT}'; exit 1`, { limits: { memoryBytes: 48 * MIB } });
    expectExceeded(ran, 'memoryBytes');
  });
  declared(test, 'memoryBytes', 'does not blame the limit on memory for another end (R13)', async (scene) => {
    const ran = await scene.run('sh -c "kill -9 \\$\\$"; exit 9', { limits: { memoryBytes: 48 * MIB } });
    expectExited(ran, 9);
  });
  declared(test, 'cpus', 'gives a command no more time of the processors than it may have', async (scene) => {
    // So little that it is the limit, and not a busy machine, that slows the command down.
    const share = await shareOf(scene, 0.05);
    keeps(promises.limits, share < 0.12, `${share.toFixed(3)} for 0.05`);
  });
  declared(test, 'pids', 'ends a command that starts more processes than it may', async (scene) => {
    const mark = makeMark();
    const script = `i=0; while [ $i -lt 40 ]; do sleep ${mark} & i=$((i+1)); done; wait`;
    expectExceeded(await scene.run(script, { limits: { pids: 10, ...safety(scene) } }), 'pids');
    await expectGone(mark);
    const few = await scene.outputOf('sleep 0 & sleep 0 & wait; echo few', { limits: { pids: 10 } });
    keepsEqual(promises.withinLimits, few, 'few\n');
  });
  declared(test, 'timeoutMs', 'ends a command that takes longer than it may', async (scene) => {
    const mark = makeMark();
    const script = `${inSession(`sleep ${mark}`)}; echo begun; sleep ${mark}`;
    const ran = await scene.run(script, { limits: { timeoutMs: 900 } });
    expectExceeded(ran, 'timeoutMs');
    keepsEqual(promises.whole, ran.text, 'begun\n');
    keeps(promises.withinLimits, ran.milliseconds >= 890, `ended after ${ran.milliseconds} of 900 ms`);
    await expectGone(mark);
    expectExited(await scene.run('exit 4', { limits: { timeoutMs: 60_000 } }), 4);
  });
  declared(
    test,
    'silenceMs',
    'ends a command that prints nothing for too long, and no other',
    async (scene) => {
      const mark = makeMark();
      const ran = await scene.run(`echo begun; sleep ${mark}`, { limits: { silenceMs: 900 } });
      expectExceeded(ran, 'silenceMs');
      keepsEqual(promises.whole, ran.text, 'begun\n');
      await expectGone(mark);
      const talks = 'for i in 1 2 3; do echo $i; sleep 1; done';
      expectExited(await scene.run(talks, { limits: { silenceMs: 2500 } }), 0);
    },
  );
  test('declares only limits that there are, each once', async ({ sandbox }) => {
    const known: readonly LimitName[] = ['memoryBytes', 'cpus', 'pids', 'timeoutMs', 'silenceMs'];
    const unknown = sandbox.enforces.filter((limit) => !known.includes(limit));
    keepsEqual(promises.enforces, unknown, []);
    keepsEqual(promises.enforces, [...new Set(sandbox.enforces)], [...sandbox.enforces]);
  });
}

/** A test of a limit, which has nothing to do where the sandbox does not name it. */
function declared(test: SandboxTest, limit: LimitName, ...[title, body]: Parameters<SandboxTest>): void {
  test(`${title} (${limit}, if declared)`, async (scene) => {
    if (scene.sandbox.enforces.includes(limit)) await body(scene);
  });
}

/** So that a test of another limit ends where that one does not hold. */
function safety({ sandbox }: SandboxScene): { timeoutMs?: number } {
  return sandbox.enforces.includes('timeoutMs') ? { timeoutMs: 20_000 } : {};
}

/** The processor time that a busy command got, as a part of the time that passed. */
async function shareOf(scene: SandboxScene, cpus: number): Promise<number> {
  const moments: number[] = [];
  let text = '';
  const write = async (chunk: Uint8Array | string) => {
    moments.push(performance.now());
    text += Buffer.from(chunk as Uint8Array).toString();
  };
  await scene.outputOf(SPIN, { output: { write }, limits: { cpus } });
  const [before, after] = [...text.matchAll(/^at ([\d.]+)$/gm)].map(([, seconds]) => Number(seconds));
  const seen = ((moments.at(-1) ?? 0) - (moments[0] ?? 0)) / 1000;
  const passed = before === undefined || after === undefined ? seen : after - before;
  const [user, system] = [...text.matchAll(/(\d+)m([\d.]+)s/g)].map(([, m, s]) => Number(m) * 60 + Number(s));
  const used = (user ?? 0) + (system ?? 0);
  keeps(promises.possible, used > 0.05, `\`times\` of the shell says nothing: ${text}`);
  return used / passed;
}

function expectExceeded(ran: Ran, limit: LimitName): void {
  keeps(promises.limits, ran.result.isOk(), describeRan(ran));
  keepsEqual(promises.limits, ran.result.value, {
    type: 'limit-exceeded',
    limit,
  });
  keeps(promises.limits, ran.milliseconds < 30_000, `ended after ${ran.milliseconds} ms`);
}

function expectExited(ran: Ran, code: number): void {
  keeps(promises.withinLimits, ran.result.isOk(), describeRan(ran));
  keepsEqual(promises.withinLimits, ran.result.value, { type: 'exited', code });
}
