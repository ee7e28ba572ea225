/** Runs bench/macos-flow.ts in the guest: `npm run bench:macos-flow`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { stopSignal } from './checks/stop.ts';
import { openGuest, whyNoGuest } from './guest/guest.ts';
import { addSources, projectDisk, repository } from './guest/project.ts';
import { runInGuest } from './guest/run-in-guest.ts';

const SCRIPT = `#!/bin/bash
echo "$(zfs version | paste -sd,), Linux $(uname -r), $(nproc) processors of $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2)"
cd /snapstep && exec node bench/macos-flow.ts
`;
/** It takes about seven minutes on a quiet machine. */
const TIMEOUT_MS = 20 * 60_000;

const stop = stopSignal();
process.exitCode = await main(stop);

async function main(signal: AbortSignal): Promise<number> {
  const reason = whyNoGuest();
  if (reason !== undefined) throw new Error(reason);
  await openGuest(signal);
  const temp = await mkdtemp(join(tmpdir(), 'snapstep-bench-'));
  try {
    const job = join(temp, 'job.tar');
    await writeFile(join(temp, 'run.sh'), SCRIPT, { mode: 0o755 });
    await execa('tar', ['-C', temp, '-cf', job, 'run.sh']);
    await execa('tar', ['-C', repository, '--transform=s,^,project/,S', '-rf', job, 'bench']);
    await addSources(job);
    return await runInGuest({ job, temp, project: await projectDisk(signal), timeoutMs: TIMEOUT_MS, signal });
  } finally {
    await rm(temp, { recursive: true });
  }
}
