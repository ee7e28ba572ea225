/** Runs a shell script in the guest: `node scripts/guest/run.ts --help`. */
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { stopSignal } from '../checks/stop.ts';
import { openGuest, whyNoGuest } from './guest.ts';
import { addSources, projectDisk } from './project.ts';
import { runInGuest } from './run-in-guest.ts';

const HELP = `usage: node scripts/guest/run.ts [options] script.sh [file...]

Starts a virtual machine with OpenZFS, runs the script in it as root, prints its output and ends with its exit code.
The machine is as it was made each time, and has no network. The script is started in /job, where the other files are
beside it; what it leaves in /job/out comes back with --out. The first start makes the machine, which takes 10 minutes.

  --project          node_modules, Node and the sources of the work tree, in /snapstep
  --out <dir>        gets the files of /job/out
  --timeout <s>      seconds until the machine is ended (600)
  --memory <MiB>     of the machine (4096)
  --build            only make the machine, without running anything
  --help             this text
`;

const stop = stopSignal();

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 125;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      project: { type: 'boolean', default: false },
      out: { type: 'string' },
      timeout: { type: 'string', default: '600' },
      memory: { type: 'string', default: '4096' },
      build: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [script, ...files] = positionals;
  if (values.help || (script === undefined && !values.build)) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  const reason = whyNoGuest();
  if (reason !== undefined) throw new Error(reason);
  await openGuest(stop);
  if (script === undefined) return 0;
  return runScript(script, { ...values, files });
}

interface Options {
  readonly files: readonly string[];
  readonly project: boolean;
  readonly out?: string;
  readonly timeout: string;
  readonly memory: string;
}

async function runScript(script: string, options: Options): Promise<number> {
  const temp = await mkdtemp(join(tmpdir(), 'snapstep-job-'));
  try {
    const job = join(temp, 'job.tar');
    await copyFile(script, join(temp, 'run.sh'));
    await chmod(join(temp, 'run.sh'), 0o755);
    await execa('tar', ['-C', temp, '-cf', job, 'run.sh']);
    for (const file of options.files) await execa('tar', ['--transform', 's,.*/,,', '-rf', job, file]);
    if (options.project) await addSources(job);
    return await runInGuest({
      job,
      temp,
      project: options.project ? await projectDisk(stop) : undefined,
      outDir: options.out,
      timeoutMs: Number(options.timeout) * 1000,
      memoryMb: Number(options.memory),
      signal: stop,
    });
  } finally {
    await rm(temp, { recursive: true });
  }
}
