import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BuildError,
  type BuildEvent,
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
import { execa } from 'execa';

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
  await busyboxRootfs(rootfs, 'sh echo head mkdir seq sleep stat tr true'.split(' '));
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
const FILES = 20;
const BYTES = 20_000;

export interface Careless {
  readonly name: string;
  /** What `stat -f` prints of the disk, and when the command takes it for full: it waits for that, but not for long. */
  readonly waitsFor?: { readonly format: string; readonly below: number };
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: BuildEvent) => Promise<void>;
}

/** A step of which each program ignores what became of the one before. It prints `half` in the middle. */
export function buildCareless(
  builder: Builder,
  { name, waitsFor, ...options }: Careless,
): PromiseLike<Result<LeasedSnapshot, BuildError>> {
  const write = (from: number, to: number) =>
    `for i in $(seq ${from} ${to}); do head -c ${BYTES} /dev/zero | tr '\\\\0' x > /out/$i; echo ${name} >> /out/$i; done`;
  const wait = waitsFor
    ? `n=0; until [ $(stat -f -c ${waitsFor.format} /) -lt ${waitsFor.below} ] || [ $n -ge 30 ]; do n=$((n + 1)); sleep 0.1; done`
    : 'true';
  const script = ['mkdir /out', write(1, FILES / 2), 'echo half', wait, write(FILES / 2 + 1, FILES), 'true'];
  const spec = `((from base) (shell /bin/sh -c) (run (shell "${script.join('; ')}")))`;
  return builder.build({ spec: expectOk(parseSpec(spec)), ...options });
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
  bytes: 'head -c 2G /dev/zero >>"$1/filler" 2>/dev/null',
  inodes: 'mkdir -p "$1/filler"; i=0; while : >"$1/filler/$i"; do i=$((i + 1)); done 2>/dev/null',
};
export type Filled = keyof typeof FILLERS;

/** Another program takes all that is left of a disk. */
export async function fillUp(disk: TempDir, what: Filled): Promise<void> {
  await execa('sh', ['-c', FILLERS[what], 'filler', disk.path], { reject: false });
}

export async function freeAgain(disk: TempDir): Promise<void> {
  await rm(join(disk.path, 'filler'), { recursive: true, force: true });
}
