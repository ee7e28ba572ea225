import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BuildError,
  type Builder,
  type LeasedSnapshot,
  openBuilder,
  parseSpec,
  type Result,
  type Store,
  toHostPath,
} from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openBtrfsStore } from '@snapstep/store-btrfs';
import { openOverlayfsStore } from '@snapstep/store-overlayfs';
import { openRsyncStore } from '@snapstep/store-rsync';
import { busyboxRootfs, expectOk, tempDir } from '@snapstep/test-support';

type TempDir = Awaited<ReturnType<typeof tempDir>>;

const openStore = { btrfs: openBtrfsStore, rsync: openRsyncStore, overlayfs: openOverlayfsStore };

export interface CarelessWorld extends AsyncDisposable {
  readonly builder: Builder;
  readonly store: Store;
}

/** A store on a small disk; what else a builder keeps is on a large one, or on `stateDisk`. */
export async function openCareless(
  disk: TempDir,
  { kind, stateDisk }: { readonly kind: keyof typeof openStore; readonly stateDisk?: TempDir },
): Promise<CarelessWorld> {
  const dir = await tempDir();
  const rootfs = join(dir.path, 'rootfs');
  await mkdir(rootfs);
  await busyboxRootfs(rootfs, ['sh', 'cat', 'echo', 'head', 'rm', 'mkdir', 'seq', 'sleep', 'tr', 'true']);
  const place = (name: string) => toHostPath(join(stateDisk?.path ?? dir.path, name));
  const sandbox = expectOk(await openRuncSandbox({ stateDir: place('sandbox') }));
  const store = expectOk(await openStore[kind]({ path: toHostPath(join(disk.path, 'store')) }));
  const images = new Map([['base', `rootfs:${rootfs}`]]);
  const fetcher = expectOk(await openOciFetcher({ stateDir: toHostPath(join(dir.path, 'fetcher')), images }));
  const builder = expectOk(
    await openBuilder({ store, sandbox, fetcher, stateDir: place('builder'), concurrency: 4 }),
  );
  return {
    builder,
    store,
    [Symbol.asyncDispose]: async () => {
      for (const part of [builder, fetcher, store, sandbox, dir]) await part[Symbol.asyncDispose]();
    },
  };
}

/** How many files a careless step writes, and of what size. */
const FILES = 30;
const BYTES = 20_000;

/** A step of which each program ignores what became of the one before. */
export function buildCareless(
  builder: Builder,
  name: string,
  signal?: AbortSignal,
): PromiseLike<Result<LeasedSnapshot, BuildError>> {
  const script = [
    `mkdir /out`,
    `for i in $(seq 1 ${FILES}); do head -c ${BYTES} /dev/zero | tr '\\\\0' x > /out/$i; echo ${name} >> /out/$i; done`,
    `head -c 3000000 /dev/zero > /tmp-file; rm /tmp-file; true`,
  ].join('; ');
  const spec = expectOk(parseSpec(`((from base) (shell /bin/sh -c) (run (shell "${script}")))`));
  return builder.build({ spec, ...(signal && { signal }) });
}

/** What is wrong with the files of a careless step. */
export async function faultsOf({ snapshot }: LeasedSnapshot, name: string): Promise<readonly string[]> {
  const [volume] = snapshot.volumes.values();
  if (volume === undefined) throw new Error('the snapshot has no volume');
  await using mounted = expectOk(await volume.mount());
  const faults: string[] = [];
  for (let i = 1; i <= FILES; i += 1) {
    const text = await readFile(join(mounted.path, 'out', `${i}`), 'utf8').catch(() => undefined);
    if (text !== `${'x'.repeat(BYTES)}${name}\n`) faults.push(`/out/${i} has ${text?.length} bytes`);
  }
  return faults;
}

const FILLERS = {
  bytes: 'head -c 2G /dev/zero >> "$1/filler" 2>/dev/null',
  inodes: 'mkdir -p "$1/filler"; i=0; while : > "$1/filler/$i"; do i=$((i + 1)); done 2>/dev/null',
};

/** Another program, which fills a disk and frees it again, in turns. */
export function startFiller(
  disk: TempDir,
  what: keyof typeof FILLERS,
  { full = 0.3, free = 0.5 }: { readonly full?: number; readonly free?: number } = {},
): AsyncDisposable {
  const script = `while :; do ${FILLERS[what]}; sleep ${full}; rm -rf "$1/filler"; sleep ${free}; done`;
  const child: ChildProcess = spawn('/bin/sh', ['-c', script, 'filler', disk.path], {
    stdio: 'ignore',
    detached: true,
  });
  return {
    [Symbol.asyncDispose]: async () => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await new Promise<void>((resolve) =>
        spawn('rm', ['-rf', join(disk.path, 'filler')]).once('exit', () => resolve()),
      );
    },
  };
}
