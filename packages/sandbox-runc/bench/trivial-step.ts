/**
 * Milliseconds of a step that does nothing, through the sandbox and as a bare run of the same bundle.
 *
 *     node packages/sandbox-runc/bench/trivial-step.ts [runs]
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ok, type RunRequest, toHostPath, toVolumeName, type Volume } from '@snapstep/core/backend';
import { busyboxRootfs, expectOk } from '@snapstep/test-support';
import { openRuncSandbox } from '../src/index.ts';

const runs = Number(process.argv[2] ?? 50);
const dir = await mkdtemp(join(tmpdir(), 'snapstep-bench-'));
try {
  await mkdir(join(dir, 'rootfs'));
  await busyboxRootfs(join(dir, 'rootfs'));
  console.log(`${runs} runs each of /bin/true; in turns; milliseconds: least, median, 90th percentile`);
  for (const runtime of ['runc', 'crun']) await measure(runtime);
} finally {
  await rm(dir, { recursive: true, force: true });
}

async function measure(runtime: string): Promise<void> {
  const stateDir = join(dir, runtime);
  await using sandbox = expectOk(await openRuncSandbox({ stateDir: toHostPath(stateDir), runtime }));
  let hasBundle = false;
  const run = async (): Promise<void> => {
    const running = sandbox.run(trivialStep(), {});
    if (!hasBundle) await copyBundle(stateDir);
    hasBundle = true;
    expectOk(await running);
  };
  await run();
  const bundle = join(dir, `${runtime}-bundle`);
  const bare = [runtime, '--root', join(dir, 'bare'), 'run', '--bundle', bundle, 'snapstep-bench'];
  // A bare crun that manages cgroups itself refuses where cgroup v2 is mounted beside v1, unless it does not see it.
  const hidden = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"';
  const command = runtime === 'crun' ? ['unshare', '--mount', 'sh', '-c', hidden, 'sh', ...bare] : bare;
  const times = { ours: [] as number[], bare: [] as number[] };
  for (let i = 0; i < runs; i += 1) {
    times.ours.push(await timeOf(run));
    times.bare.push(await timeOf(() => spawned(command)));
    // What a bare run leaves for its mount point, the sandbox would make and remove.
    await rm(join(dir, 'rootfs/etc/hosts'), { force: true });
  }
  report(`${runtime}: sandbox.run`, times.ours);
  report(`${runtime}: bare run of the same bundle`, times.bare);
}

/** The configuration is there for as long as the step runs. */
async function copyBundle(stateDir: string): Promise<void> {
  const bundles = join(stateDir, 'run/bundles');
  const target = join(dir, `${stateDir.slice(dir.length + 1)}-bundle`);
  await mkdir(target, { recursive: true });
  for (;;) {
    for (const id of await readdir(bundles)) {
      const config = await readFile(join(bundles, id, 'config.json'), 'utf8').catch(() => '');
      if (!config.endsWith('}')) continue;
      await writeFile(join(target, 'config.json'), config);
      return;
    }
  }
}

function trivialStep(): RunRequest {
  const rootfs: Volume = {
    name: toVolumeName('rootfs'),
    mount: async () => ok({ path: toHostPath(join(dir, 'rootfs')), [Symbol.asyncDispose]: async () => {} }),
  };
  return {
    argv: ['/bin/true'],
    cwd: '/',
    env: { PATH: '/bin', HOME: '/root' },
    user: { uid: 0, gid: 0 },
    network: 'none',
    limits: {},
    volumes: new Map([[rootfs.name, rootfs]]),
    mounts: [],
    secrets: [],
    output: { write: async () => {} },
    signal: new AbortController().signal,
  };
}

async function timeOf(action: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

function spawned([file = '', ...args]: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'ignore' });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${file} exited with ${code}`))));
  });
}

function report(title: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1).padStart(6);
  console.log(`${title.padEnd(36)} ${at(0)} ${at(0.5)} ${at(0.9)}`);
}
