import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { execa, execaSync } from 'execa';
import type { VitestReport } from '../checks/vitest.ts';
import { whyNoGuest } from './guest.ts';
import { addSources, projectDisk, repository } from './project.ts';
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

export interface SuiteRun {
  /** Undefined if vitest came to no report. */
  readonly report: VitestReport | undefined;
  readonly exitCode: number;
}

const CONFIG = 'vitest.guest.config.ts';

/** Far more than all suites take; each test has a limit of its own. */
const TIMEOUT_MS = 40 * 60_000;

/** Why the suites cannot run here; undefined if they can, on the machine itself or in the guest. */
export function whyNoSuite(): string | undefined {
  return hasZfs() ? undefined : whyNoGuest();
}

/** Runs tests on a kernel with OpenZFS: this machine's, or the guest's. Prints which, and what vitest prints. */
export async function runSuite(options: SuiteOptions): Promise<SuiteRun> {
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

async function runHere(temp: string, { args, signal }: SuiteOptions): Promise<SuiteRun> {
  const { stdout } = await execa('zfs', ['version']);
  const { stdout: kernel } = await execa('uname', ['-r']);
  console.log(`${stdout.trim().replaceAll('\n', ', ')}, Linux ${kernel}: this machine's`);
  const report = join(temp, 'report.json');
  const { exitCode } = await execa('vitest', vitestArguments(report, args), {
    cwd: repository,
    env: { TMPDIR: temp },
    cancelSignal: signal,
    // It destroys its pools before it ends.
    forceKillAfterDelay: 60_000,
    preferLocal: true,
    localDir: repository,
    reject: false,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (signal.aborted) throw signal.reason;
  return { report: await readReport(report, repository), exitCode: exitCode ?? 1 };
}

async function runThere(temp: string, { args, onOutput, signal }: SuiteOptions): Promise<SuiteRun> {
  const project = await projectDisk(signal);
  const script = join(temp, 'run.sh');
  await writeFile(script, guestScript(args));
  await chmod(script, 0o755);
  const job = join(temp, 'job.tar');
  await execa('tar', ['-C', temp, '-cf', job, 'run.sh']);
  await addSources(job);
  const outDir = join(temp, 'out');
  const exitCode = await runInGuest({ job, project, outDir, temp, timeoutMs: TIMEOUT_MS, onOutput, signal });
  return { report: await readReport(join(outDir, 'report.json'), '/snapstep'), exitCode };
}

function guestScript(args: readonly string[]): string {
  const vitest = vitestArguments('/job/out/report.json', args).map(
    (arg) => `'${arg.replaceAll("'", `'\\''`)}'`,
  );
  const environment = ['CI', 'SNAPSTEP_SCALE', 'DEBUG'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [`export ${name}='${value.replaceAll("'", `'\\''`)}'`];
  });
  return `#!/bin/bash
echo "$(zfs version | paste -sd, | sed 's/,/, /'), Linux $(uname -r): the guest's, up after $(cut -d. -f1 /proc/uptime) s"
mkdir -p /job/out
${environment.join('\n')}
cd /snapstep && exec node node_modules/vitest/vitest.mjs ${vitest.join(' ')}
`;
}

function vitestArguments(report: string, args: readonly string[]): readonly string[] {
  const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${report}`];
  return ['run', '--config', CONFIG, ...reporters, ...args];
}

/** With the paths of the files as seen from the top of the repository. */
async function readReport(path: string, root: string): Promise<VitestReport | undefined> {
  if (!existsSync(path)) return undefined;
  const report = JSON.parse(await readFile(path, 'utf8')) as VitestReport;
  const testResults = report.testResults.map((file) => ({ ...file, name: relative(root, file.name) }));
  return { ...report, testResults };
}
