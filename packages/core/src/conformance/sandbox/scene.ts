import type { Result } from 'neverthrow';
import type { LogSink } from '../../backend/log-sink.ts';
import type { Owner } from '../../backend/names.ts';
import type { Exit, RunRequest, Sandbox, SandboxError } from '../../backend/sandbox.ts';
import type { StoreFeature, StoreFeatures } from '../../backend/store.ts';
import type { Volume, Volumes } from '../../backend/volume.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { describeTree } from '../store/describe-tree.ts';
import { mounted } from '../store/scene.ts';
import { MountCounter } from './mount-counter.ts';
import { settled, WatchedLog } from './outcomes.ts';
import { Patience } from './patience.ts';
import type { SandboxAccount, SandboxPlace, SandboxWorld } from './place.ts';
import { sandboxPromises as promises, type SandboxPromise } from './promises.ts';

/** Registers one test, which gets a fresh place. */
export type SandboxTest = (title: string, body: (scene: SandboxScene) => Promise<void>) => void;

/** From wherever volumes are on the host, it leads to its root directory. */
export const UP: string = `${'../'.repeat(40)}.`;

export type Argv = readonly [string, ...string[]];

export interface MustSucceed extends Partial<RunRequest> {
  readonly promise?: SandboxPromise;
}

export interface Ran {
  readonly result: Result<Exit, SandboxError>;
  /** All that the command printed. */
  readonly text: string;
  readonly milliseconds: number;
}

/** What nearly every test does with a sandbox, in few words. */
export class SandboxScene implements AsyncDisposable {
  sandbox: Sandbox<StoreFeature>;
  readonly place: SandboxPlace;
  readonly directory: string;
  readonly elsewhere: string;
  readonly cwdOwner: Owner;
  readonly patience: number;
  readonly hidesProcesses: boolean;
  readonly accounts: SandboxWorld['accounts'];
  readonly #world: SandboxWorld;
  readonly #mounts = new MountCounter();
  #volumes: Promise<Volumes> | undefined;

  constructor(place: SandboxPlace, world: SandboxWorld) {
    this.place = place;
    this.sandbox = place.sandbox;
    this.directory = world.directory ?? '/suite';
    this.patience = world.patience ?? 30_000;
    this.hidesProcesses = world.hidesProcesses ?? false;
    this.elsewhere = world.elsewhere ?? '/etc/suite';
    this.cwdOwner = world.cwdOwner ?? { uid: 0, gid: 0 };
    this.accounts = world.accounts;
    this.#world = world;
  }

  get user(): SandboxAccount {
    return this.accounts[0];
  }

  get mounted(): number {
    return this.#mounts.count;
  }

  /** From now on the volumes of this test take long to unmount. */
  unmountSlowly(): void {
    this.#mounts.lag = 150;
  }

  /** The volumes of this test's commands. */
  volumes(): Promise<Volumes> {
    this.#volumes ??= this.freshVolumes();
    return this.#volumes;
  }

  async freshVolumes(): Promise<Volumes> {
    const volumes = await this.place.volumes();
    return new Map([...volumes].map(([name, volume]) => [name, this.#mounts.wrap(volume)]));
  }

  async cache(owner: { readonly uid: number; readonly gid: number } = this.user): Promise<Volume> {
    return this.#mounts.wrap(await this.place.cache(owner));
  }

  /** For a script: where the secret of this target is. */
  secretPlace(target: string): string {
    return this.#world.secretPlace?.(target) ?? target;
  }

  /** A shell script, or an argv, with what `more` says. */
  async request(command: string | Argv, more: Partial<RunRequest> = {}): Promise<RunRequest> {
    const { shell = ['/bin/sh', '-c'] as const } = this.#world;
    const { uid, gid, home } = this.user;
    return {
      argv: typeof command === 'string' ? [...shell, command] : command,
      cwd: '/',
      env: this.env(home),
      user: { uid, gid },
      network: 'none',
      limits: {},
      volumes: more.volumes ?? (await this.volumes()),
      mounts: [],
      secrets: [],
      output: { write: async () => {} },
      signal: new AbortController().signal,
      ...more,
    };
  }

  env(home: string = this.user.home): Readonly<Record<string, string>> {
    return { PATH: this.#world.path ?? this.sandbox.defaultPath, HOME: home };
  }

  /** Runs a command. What the sandbox promises of every run is checked each time. */
  async run(command: string | Argv, more: Partial<RunRequest> = {}): Promise<Ran> {
    const log = collect();
    const request = await this.request(command, { output: log, ...more });
    const [start, others] = [performance.now(), this.mounted];
    const result = await this.start(request);
    const milliseconds = performance.now() - start;
    this.expectUnmounted(others);
    return { result, text: log.text(), milliseconds };
  }

  /** Runs a command beside others: nothing is checked but that it ends. */
  async start(request: RunRequest): Promise<Result<Exit, SandboxError>> {
    const features = this.#mounts.wrapFeatures(this.place.features) as StoreFeatures;
    using patience = new Patience(this.patience, request);
    const output = new WatchedLog(request.output);
    const running = this.sandbox.run({ ...request, output, signal: patience.signal }, features);
    const answer = settled(running, (reason) => output.hasRejectedWith(reason));
    const result = await Promise.race([answer, patience.exhausted]);
    keeps(promises.settles, !patience.isLate(result), result);
    return result;
  }

  /** @param others - How many volumes are mounted for commands that still run. */
  expectUnmounted(others = 0): void {
    const left = Math.max(0, this.mounted - others);
    keepsEqual(promises.unmounted, { mounted: left }, { mounted: 0 });
  }

  /**
   * Runs a command that must exit with 0.
   *
   * @param more.promise - What does not hold where it exits otherwise.
   */
  async outputOf(command: string | Argv, more: MustSucceed = {}): Promise<string> {
    const { promise = promises.possible, ...request } = more;
    const ran = await this.run(command, request);
    const is0 = ran.result.isOk() && ran.result.value.type === 'exited' && ran.result.value.code === 0;
    keeps(promise, is0, `${JSON.stringify(command)} gave ${describeRan(ran)}`);
    return ran.text;
  }

  /** Everything in the volumes, one line for each file. */
  async tree(): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const [name, volume] of await this.volumes()) {
      lines.push(...(await mounted(volume, describeTree)).map((line) => `${name}: ${line}`));
    }
    return lines;
  }

  /** Calls `look` with the place on the host of a path of the step's world. */
  async look<T>(path: string, look: (path: string) => Promise<T>): Promise<T> {
    const at = this.sandbox.locate(path);
    keeps(promises.locate, at !== undefined, `undefined for ${path}, where commands keep files`);
    const volume = (await this.volumes()).get(at.volume);
    keeps(promises.locateInside, volume !== undefined, at);
    return mounted(volume, (root) => look(`${root}${at.path.startsWith('/') ? '' : '/'}${at.path}`));
  }

  /** Whether a command runs as if it were the first. */
  async expectUsable(line = 'fine'): Promise<void> {
    const promise = promises.usable;
    keepsEqual(promise, await this.outputOf(`echo ${line}`, { promise }), `${line}\n`);
  }

  /** The end of a test. */
  async expectNothingLeft(): Promise<void> {
    this.expectUnmounted();
    keepsEqual(promises.leftNothing, (await this.place.leftovers?.()) ?? [], []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox[Symbol.asyncDispose]();
    await this.place[Symbol.asyncDispose]();
  }
}

/** An exit as a shell would tell it. */
export function codeOf(exit: Exit): number | string {
  return exit.type === 'exited' ? exit.code : exit.type === 'signalled' ? exit.signal : `limit ${exit.limit}`;
}

export function describeRan({ result, text }: Ran): string {
  return `${JSON.stringify(result.isOk() ? result.value : result.error)}, having printed ${JSON.stringify(text.slice(-2000))}`;
}

/** A log in memory. */
export function collect(): LogSink & { text(): string; bytes(): Buffer } {
  const chunks: Buffer[] = [];
  const bytes = () => Buffer.concat(chunks);
  return {
    // A copy: the sandbox may use its buffer again once the write has settled.
    write: async (chunk) => void chunks.push(Buffer.from(chunk as Uint8Array)),
    bytes,
    text: () => bytes().toString('utf8'),
  };
}
