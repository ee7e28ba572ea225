import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expectOk, tempDir } from '@snapstep/test-support';
import type {
  BuildEvent,
  Builder,
  BuilderOptions,
  BuildRequest,
  LeasedSnapshot,
  StepKey,
} from '../../src/index.ts';
import { openBuilder, parseSpec, toHostPath } from '../../src/index.ts';
import {
  memoryStore,
  type Script,
  type ScriptedCommand,
  type ScriptedFetcher,
  type ScriptedImage,
  type ScriptedSandbox,
  scriptedFetcher,
  scriptedSandbox,
  type VirtualClock,
} from '../../src/testing/index.ts';

export interface World extends AsyncDisposable {
  readonly builder: Builder;
  readonly sandbox: ScriptedSandbox;
  readonly fetcher: ScriptedFetcher;
  /** What the names of images mean; it may change. */
  readonly images: Record<string, ScriptedImage>;
  readonly store: Awaited<ReturnType<typeof memoryStore>>;
  readonly stateDir: string;
  readonly dir: string;
  /** Closes the builder and opens another on the same store and state. */
  reopen(): Promise<Builder>;
}

export interface WorldOptions
  extends Pick<BuilderOptions<never>, 'logBytes' | 'keepFailedLogs' | 'specLimits' | 'hostNetwork'> {
  /** `default`: what a builder takes by itself. */
  readonly concurrency?: number | 'default';
  readonly clock?: VirtualClock;
  /** How many commands the sandbox can run at once. Default: all. */
  readonly commandsAtOnce?: number;
  /** How much the store can hold. */
  readonly capacityBytes?: number;
}

/** A builder over the memory store, where commands are functions and `base` is an image with the file `origin`; `other` has an environment too. */
export async function openWorld(
  script: Script,
  { concurrency = 8, clock, capacityBytes, commandsAtOnce, ...options }: WorldOptions = {},
): Promise<World> {
  const dir = await tempDir();
  const store = await memoryStore(capacityBytes === undefined ? {} : { capacityBytes });
  const sandbox = scriptedSandbox(script, clock && { clock });
  const images: Record<string, ScriptedImage> = {
    base: { files: { origin: 'base' } },
    other: { files: { origin: 'other' }, env: { PATH: '/image/bin', LANG: 'C', NAME: 'image' } },
  };
  const fetcher = scriptedFetcher(images);
  const stateDir = join(dir.path, 'state');
  const open = async (): Promise<Builder> =>
    expectOk(
      await openBuilder({
        ...{ store, fetcher, stateDir: toHostPath(stateDir) },
        sandbox: commandsAtOnce === undefined ? sandbox : { ...sandbox, concurrency: commandsAtOnce },
        ...(concurrency === 'default' ? {} : { concurrency }),
        ...(clock && { clock }),
        ...options,
      }),
    );
  const close = async (): Promise<void> => {
    await store[Symbol.asyncDispose]();
    await dir[Symbol.asyncDispose]();
  };
  let builder = await open().catch(async (error) => {
    await close();
    throw error;
  });
  return {
    get builder() {
      return builder;
    },
    sandbox,
    fetcher,
    images,
    store,
    stateDir,
    dir: dir.path,
    reopen: async () => {
      await builder[Symbol.asyncDispose]();
      builder = await open();
      return builder;
    },
    [Symbol.asyncDispose]: async () => {
      await builder[Symbol.asyncDispose]();
      await close();
    },
  };
}

/** What one build told its listener. */
export interface Heard {
  readonly events: BuildEvent[];
  /** The whole output of all steps. */
  output(): string;
  /** `ran`, `joined` or `cache` of each step, in the order of their ends. */
  sources(): string[];
}

export function listen(): Heard & { readonly onEvent: (event: BuildEvent) => void } {
  const events: BuildEvent[] = [];
  return {
    events,
    onEvent: (event) => void events.push(event),
    output: () =>
      Buffer.concat(
        events.flatMap((event) => (event.type === 'step-output' ? [event.chunk] : [])),
      ).toString(),
    sources: () => events.flatMap((event) => (event.type === 'step-done' ? [event.source] : [])),
  };
}

export function request(text: string, more: Omit<BuildRequest, 'spec'> = {}): BuildRequest {
  return { spec: expectOk(parseSpec(text)), ...more };
}

/** The key of a build that succeeds; its lease is given back. */
export async function built(
  builder: Builder,
  text: string,
  more: Omit<BuildRequest, 'spec'> = {},
): Promise<StepKey> {
  await using result = expectOk(await builder.build(request(text, more)));
  return result.key;
}

export async function readResult(result: LeasedSnapshot, name: string): Promise<string> {
  const volume = [...result.snapshot.volumes.values()][0];
  if (volume === undefined) throw new Error('the snapshot has no volume');
  await using mounted = expectOk(await volume.mount());
  return await readFile(join(mounted.path, name), 'utf8');
}

export async function writeTree(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
}

/** A command that writes one file and prints its name. */
export function writes(name: string, content: string = name): ScriptedCommand {
  return async ({ request: { output }, root }) => {
    await writeFile(join(root, name), content);
    await output.write(`wrote ${name}\n`);
    return 0;
  };
}

/** A command that prints, and then waits until it is let go or aborted. */
export function gate(text: string): {
  readonly command: ScriptedCommand;
  readonly started: Promise<void>;
  readonly open: (exit?: number) => void;
} {
  const started = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<number>();
  return {
    started: started.promise,
    open: (exit = 0) => opened.resolve(exit),
    command: async ({ request: { output, signal } }) => {
      await output.write(text);
      started.resolve();
      const aborted = Promise.withResolvers<never>();
      aborted.promise.catch(() => {});
      signal.addEventListener('abort', () => aborted.reject(signal.reason));
      return Promise.race([opened.promise, aborted.promise]);
    },
  };
}
