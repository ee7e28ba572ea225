import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BuildError,
  type Builder,
  type LeasedSnapshot,
  openBuilder,
  parseSpec,
  type StepSource,
} from '@snapstep/core';
import { type HostPath, orThrow, type Result, type Sandbox, toHostPath } from '@snapstep/core/backend';
import { scriptedFetcher } from '@snapstep/core/testing';
import { openZfsStore, type ZfsStore } from '@snapstep/store-zfs';
import { expectOk, tempDir, zfsPool } from '@snapstep/test-support';
import { execa } from 'execa';
import { type MacosSandboxOptions, openMacosSandbox } from '../../../src/index.ts';
import { makeMac } from './emulated-mac.ts';

export interface MacBuilder extends AsyncDisposable {
  readonly builder: Builder;
  readonly sandbox: Sandbox<'placement'>;
  readonly store: ZfsStore;
  readonly dataset: string;
  readonly directory: HostPath;
}

export interface Built {
  readonly result: Result<LeasedSnapshot, BuildError>;
  readonly log: string;
  readonly sources: readonly StepSource[];
}

export const users = [
  { name: 'mac7001', uid: 7001, gid: 20 },
  { name: 'mac7002', uid: 7002, gid: 20 },
] as const;

/** A builder over OpenZFS and the sandbox, in a pool of its own. The image `base` has empty volumes. */
export async function openMacBuilder(
  options: Partial<MacosSandboxOptions> = {},
  disk: { readonly sizeMiB?: number } = {},
): Promise<MacBuilder> {
  await makeMac();
  await using made = new AsyncDisposableStack();
  const pool = made.use(await zfsPool(disk));
  const dir = made.use(await tempDir());
  await chmod(dir.path, 0o755);
  const dataset = `${pool.name}/snapstep`;
  await execa('zfs', ['create', dataset]);
  const directory = toHostPath(join(dir.path, 'store'));
  await mkdir(directory);
  const stateDir = toHostPath(join(dir.path, 'sandbox'));
  const homebrewPrefix = toHostPath('/opt/homebrew');
  const sandbox = made.use(expectOk(await openMacosSandbox({ users, stateDir, homebrewPrefix, ...options })));
  const store = made.use(expectOk(await openZfsStore({ dataset, directory })));
  const fetcher = scriptedFetcher({ base: {} });
  const builder = made.use(
    expectOk(await openBuilder({ store, sandbox, fetcher, stateDir: toHostPath(join(dir.path, 'builder')) })),
  );
  const all = made.move();
  return { builder, sandbox, store, dataset, directory, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Builds a spec, whose network is the host's. */
export async function build(
  { builder }: MacBuilder,
  spec: string,
  more: {
    readonly context?: HostPath;
    readonly secrets?: ReadonlyMap<string, Uint8Array>;
    readonly signal?: AbortSignal;
    readonly onLog?: (log: string) => void;
  } = {},
): Promise<Built> {
  const { onLog, ...request } = more;
  const sources: StepSource[] = [];
  let log = '';
  const result = await builder.build({
    ...request,
    spec: orThrow(parseSpec(spec)),
    onEvent(event) {
      if (event.type === 'step-done') sources.push(event.source);
      if (event.type !== 'step-output') return;
      log += Buffer.from(event.chunk).toString();
      onLog?.(log);
    },
  });
  return { result, log, sources };
}

/** Where datasets of a pool are mounted: name and place of each. */
export async function mountsOf(dataset: string): Promise<readonly string[]> {
  const { stdout } = await execa('findmnt', ['-rn', '-t', 'zfs', '-o', 'SOURCE,TARGET'], { reject: false });
  return stdout.split('\n').filter((line) => line.startsWith(dataset));
}
