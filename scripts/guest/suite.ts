import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa, execaSync } from 'execa';
import { readReport, runVitest, type VitestRun, vitestReporters } from '../checks/vitest.ts';
import { whyNoGuest } from './guest.ts';
import { addSources, projectDisk } from './project.ts';
import { runInGuest } from './run-in-guest.ts';

export interface SuiteOptions {
  /** What vitest gets: files, `-t` and a title, ... */
  readonly args: readonly string[];
  /** Where it makes its temporary files. */
  readonly temp?: string;
  /** By default it goes to our standard output. */
  readonly onOutput?: (chunk: Uint8Array) => void;
  readonly signal: AbortSignal;
}

/** What changes a setting of the kernel, and so runs in the guest only. */
export const GUEST_ONLY = 'packages/sandbox-runc/test/guest';

const CONFIG = 'vitest.guest.config.ts';

/** Far more than all suites take; each test has a limit of its own. */
const TIMEOUT_MS = 90 * 60_000;

/** Why the suites cannot run here; undefined if they can, on the machine itself or in the guest. */
export function whyNoSuite(): string | undefined {
  return hasZfs() ? undefined : whyNoGuest();
}

/** Runs tests on a kernel with OpenZFS: this machine's, or the guest's. Prints which, and what vitest prints. */
export async function runSuite(options: SuiteOptions): Promise<VitestRun> {
  const temp = await mkdtemp(join(options.temp ?? tmpdir(), 'snapstep-suite-'));
  try {
    return hasZfs() ? await runHere(temp, options) : await runThere(temp, options);
  } finally {
    await rm(temp, { recursive: true });
  }
}

/** Whether this machine's own kernel will do. */
export function hasZfs(): boolean {
  if (!existsSync('/dev/zfs') || process.getuid?.() !== 0) return false;
  return !execaSync('zfs', ['version'], { reject: false }).failed;
}

async function runHere(temp: string, { args, signal }: SuiteOptions): Promise<VitestRun> {
  const { stdout } = await execa('zfs', ['version']);
  const { stdout: kernel } = await execa('uname', ['-r']);
  console.log(`${stdout.trim().replaceAll('\n', ', ')}, Linux ${kernel}: this machine's`);
  if (args.includes(GUEST_ONLY)) console.log(`${GUEST_ONLY} is left out: it changes settings of the kernel`);
  const leaveOut = ['--exclude', `${GUEST_ONLY}/**`, '--passWithNoTests'];
  return runVitest({ args: ['--config', CONFIG, ...args, ...leaveOut], reporter: 'verbose', temp, signal });
}

async function runThere(temp: string, { args, onOutput, signal }: SuiteOptions): Promise<VitestRun> {
  const project = await projectDisk(signal);
  const script = join(temp, 'run.sh');
  await writeFile(script, guestScript(args));
  await chmod(script, 0o755);
  const job = join(temp, 'job.tar');
  await execa('tar', ['-C', temp, '-cf', job, 'run.sh']);
  await addSources(job);
  const outDir = join(temp, 'out');
  const exitCode = await runInGuest({ job, project, outDir, temp, timeoutMs: TIMEOUT_MS, onOutput, signal });
  return { report: await readReport(join(outDir, 'report.json')), exitCode };
}

function guestScript(args: readonly string[]): string {
  const reporters = vitestReporters('/job/out/report.json', 'verbose');
  const vitest = ['run', '--config', CONFIG, ...reporters, ...args].map(
    (arg) => `'${arg.replaceAll("'", `'\\''`)}'`,
  );
  const environment = ['CI', 'SNAPSTEP_SCALE', 'SNAPSTEP_OPENZFS', 'DEBUG'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [`export ${name}='${value.replaceAll("'", `'\\''`)}'`];
  });
  return `#!/bin/bash
echo "$(zfs version | paste -sd, | sed 's/,/, /'), Linux $(uname -r): the guest's, up after $(cut -d. -f1 /proc/uptime) s"
mkdir -p /job/out
export SNAPSTEP_GUEST=1
${environment.join('\n')}
# Programs that tests start from our sources need half the time for that.
export NODE_COMPILE_CACHE=/tmp/node-compile-cache
cd /snapstep && exec node node_modules/vitest/vitest.mjs ${vitest.join(' ')}
`;
}
