import { copyFile, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { guestCache } from './cache.ts';
import { openGuest } from './guest.ts';

export interface GuestJob {
  /** A tar file with `run.sh`, which root runs in the guest, in the directory of the files: /job. */
  readonly job: string;
  /** For the files of this run; the caller removes it. */
  readonly temp: string;
  readonly timeoutMs: number;
  readonly memoryMb?: number;
  /** An ext4 image, mounted at /snapstep, with the directory `project` of the job copied over it. */
  readonly project?: string | undefined;
  /** Gets what `run.sh` leaves in /job/out. */
  readonly outDir?: string | undefined;
  /** By default it goes to our standard output. */
  readonly onOutput?: ((chunk: Uint8Array) => void) | undefined;
  readonly signal: AbortSignal;
}

/** What `run.sh` may leave. */
const OUT_BYTES = 256 * 2 ** 20;

const KERNEL_OPTIONS = [
  'console=ttyS0',
  'quiet',
  'panic=-1',
  // An emulated processor has none of the faults that these work around, and time stands still when the host is busy.
  'mitigations=off',
  'nokaslr',
  'tsc=reliable',
  'nowatchdog',
  'rcupdate.rcu_cpu_stall_suppress=1',
  'random.trust_cpu=on',
  'init_on_alloc=0',
  'apparmor=0',
  'audit=0',
  // QEMU has translated a program when it starts again, if it lies at the same addresses: a zfs takes a third of the time.
  'norandmaps',
];

/**
 * Starts the guest, which has no network and starts as it was made each time, runs a job in it, and ends it. It cannot
 * outlive us.
 *
 * @returns The exit code of `run.sh`.
 * @throws Error if the guest died, with where its console log is; the signal's reason.
 */
export async function runInGuest(job: GuestJob): Promise<number> {
  const { dir } = await openGuest(job.signal);
  const files = {
    out: join(job.temp, 'out.tar'),
    code: join(job.temp, 'code'),
    console: join(job.temp, 'console.log'),
  };
  await allocate(files.out, OUT_BYTES);
  const ending = await runQemu(qemuArguments(dir, { ...job, ...files }), job);
  if (job.signal.aborted) throw job.signal.reason;
  const code = /^\d+/.exec(await readFile(files.code, 'utf8').catch(() => ''))?.[0];
  if (code === undefined) throw new Error(await explainDeath(ending, files.console));
  if (job.outDir !== undefined) await unpack(files.out, job.outDir);
  return Number(code);
}

interface Machine extends GuestJob {
  readonly out: string;
  readonly code: string;
  readonly console: string;
}

/**
 * Emulated: where KVM is offered inside another virtual machine, it may be slower than that, or not start. One processor:
 * with two, Node crashes now and then (SIGSEGV, SIGTRAP), and two machines at once take each other's time.
 */
function qemuArguments(
  dir: string,
  { job, project, memoryMb = 4096, out, code, console }: Machine,
): string[] {
  return [
    ...['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'Nehalem', '-smp', '1', '-m', `${memoryMb}`],
    ...['-machine', 'q35', '-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-kernel', join(dir, 'vmlinuz'), '-initrd', join(dir, 'initrd.img')],
    ...['-append', KERNEL_OPTIONS.join(' ')],
    ...['-chardev', `file,id=console,path=${console}`, '-serial', 'chardev:console'],
    ...disk('root', join(dir, 'root.img'), 'snapshot=on,cache=unsafe'),
    ...disk('job', job, 'readonly=on'),
    ...disk('out', out, 'cache=unsafe'),
    ...(project === undefined ? [] : disk('project', project, 'snapshot=on,cache=unsafe')),
    ...['-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
    ...['-chardev', 'stdio,id=output,signal=off', '-device', 'virtserialport,chardev=output,name=output'],
    ...['-chardev', `file,id=code,path=${code}`, '-device', 'virtserialport,chardev=code,name=code'],
  ];
}

function disk(name: string, file: string, options: string): string[] {
  const drive = `file=${file.replaceAll(',', ',,')},format=raw,if=none,id=${name},${options}`;
  return ['-drive', drive, '-device', `virtio-blk-pci,drive=${name},serial=${name}`];
}

interface Ending {
  readonly timedOut: boolean;
  /** What QEMU itself had to say. */
  readonly message: string;
}

/** The kernel kills it when our process ends. */
async function runQemu(
  args: readonly string[],
  { timeoutMs, signal, onOutput, temp }: GuestJob,
): Promise<Ending> {
  const child = execa('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
    // It keeps what the guest writes to its disks there.
    env: { TMPDIR: temp },
    timeout: timeoutMs,
    cancelSignal: signal,
    killSignal: 'SIGKILL',
    reject: false,
    buffer: { stdout: false },
    // At the end of its standard input it closes the port that the output comes from.
    stdio: ['pipe', onOutput === undefined ? 'inherit' : 'pipe', 'pipe'],
  });
  if (onOutput !== undefined) child.stdout?.on('data', onOutput);
  const { timedOut, stderr, exitCode, signal: endedBy } = await child;
  return { timedOut, message: `QEMU ended with ${exitCode ?? endedBy}\n${stderr}`.trimEnd() };
}

/** The console log is kept, because the kernel and our first program write there what went wrong. */
async function explainDeath({ timedOut, message }: Ending, console: string): Promise<string> {
  const kept = join(guestCache, `console-${process.pid}.log`);
  await copyFile(console, kept).catch(() => undefined);
  const tail = (await readFile(console, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-20);
  const what = timedOut ? 'the guest did not end in time' : 'the guest died';
  return `${[`${what}; its console log: ${kept}`, message, ...tail].join('\n').trimEnd()}\n`;
}

async function allocate(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(bytes);
  await file.close();
}

async function unpack(tar: string, into: string): Promise<void> {
  await mkdir(into, { recursive: true });
  await execa('tar', ['-C', into, '-xf', tar], { reject: false });
}
