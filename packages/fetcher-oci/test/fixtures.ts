import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  type FetchError,
  type ImageConfig,
  type ImageRef,
  type LogSink,
  ok,
  type Result,
  toHostPath,
  toVolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import { collectLog, expectOk, tempDir } from '@snapstep/test-support';
import { type OciFetcher, type OciFetcherOptions, openOciFetcher } from '../src/index.ts';

const AMD64 = 'linux/amd64';

export function image(name: string, platform: string = AMD64): ImageRef {
  return { name, platform };
}

/** Never aborted. */
export function quiet(): AbortSignal {
  return new AbortController().signal;
}

/** A volume that is a directory. */
export function directoryVolumes(path: string): Volumes {
  const name = toVolumeName('rootfs');
  mkdirSync(path, { recursive: true });
  const mounted = { path: toHostPath(path), [Symbol.asyncDispose]: async () => undefined };
  return new Map([[name, { name, mount: async () => ok(mounted) }]]);
}

export interface Bench extends AsyncDisposable {
  /** A directory of the test's own. */
  readonly dir: string;
  readonly rootfs: string;
  readonly fetcher: OciFetcher;
  /** Pins and unpacks. */
  fetch(name: string, options?: FetchOptions): Promise<Result<ImageConfig, FetchError>>;
}

interface FetchOptions {
  readonly platform?: string;
  readonly log?: LogSink;
}

/** Images whose names mean themselves, unless they are given another meaning. */
export class AnyName extends Map<string, string> {
  override get(name: string): string {
    return super.get(name) ?? name;
  }
}

/** A fetcher with a state directory of its own, and an empty root file system. */
export async function openBench(options: Partial<OciFetcherOptions> = {}): Promise<Bench> {
  const temp = await tempDir();
  const stateDir = toHostPath(join(temp.path, 'state'));
  const fetcher = expectOk(
    await openOciFetcher({
      stateDir,
      tagTtlMilliseconds: 0,
      ...options,
      images: new AnyName(options.images),
    }),
  );
  const rootfs = join(temp.path, 'rootfs');
  return {
    dir: temp.path,
    rootfs,
    fetcher,
    async fetch(name, { platform, log = collectLog() } = {}) {
      const pinned = await fetcher.pin(image(name, platform), quiet());
      if (pinned.isErr()) return pinned.map(() => ({ env: {} }));
      return fetcher.unpack(pinned.value, directoryVolumes(rootfs), { log, signal: quiet() });
    },
    async [Symbol.asyncDispose]() {
      await fetcher[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** Every name below a directory, with all that makes it what it is, but for times and extended attributes. */
export function listTree(root: string, below: string = ''): readonly string[] {
  const here = join(root, below);
  return readdirSync(here)
    .sort()
    .flatMap((name) => [describeFile(root, join(below, name)), ...descend(root, join(below, name))]);
}

function descend(root: string, path: string): readonly string[] {
  return lstatSync(join(root, path)).isDirectory() ? listTree(root, path) : [];
}

function describeFile(root: string, path: string): string {
  const stat = lstatSync(join(root, path));
  const mode = stat.mode.toString(8);
  const links = stat.isDirectory() ? '' : ` x${stat.nlink}`;
  return `${path} ${mode} ${stat.uid}:${stat.gid}${links} ${contentOf(join(root, path))}`.trim();
}

function contentOf(path: string): string {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return `-> ${readlinkSync(path)}`;
  if (stat.isFile()) return stat.size < 40 ? readFileSync(path, 'latin1') : hashOf(path);
  return stat.rdev === 0 ? '' : `${stat.rdev >> 8},${stat.rdev & 255}`;
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12);
}

/** Runs `body` on a machine without any program. */
export async function withoutPrograms<T>(body: () => Promise<T>): Promise<T> {
  const path = process.env.PATH;
  process.env.PATH = '/nonexistent';
  try {
    return await body();
  } finally {
    process.env.PATH = path;
  }
}

/** How many bytes this process read meanwhile, from the disk or from memory: `rchar` of proc_pid_io(5). */
export async function bytesRead<T>(body: () => Promise<T>): Promise<{ value: T; bytes: number }> {
  const count = () => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
  const before = count();
  const value = await body();
  return { value, bytes: count() - before };
}
