import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Disk } from './disk.ts';
import type { Made, Said, Told } from './messages.ts';
import { type RandomNumbers, randomNumbers } from './random-numbers.ts';
import { Worker } from './worker.ts';
import { partsOf, sweepSandbox, type World } from './world.ts';

/**
 * What a builder does for a while, and when the power is cut meanwhile.
 *
 * - `opened`: its store is new. When it builds for the first time, its empty store has long been there.
 * - `building`: it works. It is cut after so many steps were answered as saved, in the middle of others.
 * - `idle`: it stays open and has nothing to do.
 * - `killed`: its process is killed; another takes over and waits.
 * - `closed`: it is closed, and its process ends. This is the last phase.
 */
export interface Phase {
  readonly state: 'opened' | 'building' | 'idle' | 'killed' | 'closed';
  /** Steps that were saved since it began, where it is building; else seconds since it began. */
  readonly cuts: readonly number[];
}

/** One copy of the disk. */
export interface Cut {
  readonly file: string;
  readonly state: Phase['state'];
  /** Such as `idle for 5 s`. */
  readonly moment: string;
  /** What was answered before is in the past of the cut, by `Date.now`. */
  readonly begin: number;
}

/** A cut falls anywhere in the step after the one that it was to wait for. */
const MOST_OF_A_STEP_MS = 400;

export interface LifeOptions {
  readonly world: World;
  readonly phases: readonly Phase[];
  /** A directory that does not exist, on a file system with reflinks. */
  readonly directory: string;
  readonly images: string;
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** Where the contexts of builds are, by number. */
export function contextsOf(directory: string): string {
  return join(directory, 'contexts');
}

/** A builder that lives through some phases, and the copies that were made of its disk meanwhile. */
export class Life {
  /** All that the builder has said, in order. */
  readonly said: Said[] = [];
  readonly #options: LifeOptions;
  readonly #random: RandomNumbers;
  #worker: Worker | undefined;
  #hasBuilt = false;
  #cuts = 0;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#random = randomNumbers(options.seed);
    options.signal.addEventListener('abort', () => this.#worker?.tell('close'));
  }

  /** @returns Each cut as soon as it may be opened: when the builder is closed. What is left at the end are the cuts. */
  async *live(): AsyncGenerator<Cut> {
    const { directory, world, phases } = this.#options;
    await mkdir(contextsOf(directory), { recursive: true });
    const parts = partsOf(world);
    const early: Cut[] = [];
    {
      await using disk = await Disk.make(join(directory, 'disk'), parts);
      await using _worker = { [Symbol.asyncDispose]: () => this.#end(disk) };
      for (const phase of phases) {
        for await (const cut of this.#pass(phase, disk)) {
          // Up to Linux 6.6, Btrfs takes the copy of a disk that is mounted for that disk.
          if (phase.state === 'closed' && !parts.includes('btrfs')) yield* [...early.splice(0), cut];
          else early.push(cut);
        }
      }
    }
    yield* early;
  }

  async *#pass(phase: Phase, disk: Disk): AsyncGenerator<Cut> {
    for await (const moment of this.#moments(phase, disk)) {
      const file = join(this.#options.directory, `cut-${this.#cuts}.img`);
      this.#cuts += 1;
      const begin = Date.now();
      await disk.cut(file);
      yield { file, state: phase.state, moment, begin };
    }
  }

  /** Yields when it is time for a cut. */
  async *#moments({ state, cuts }: Phase, disk: Disk): AsyncGenerator<string> {
    if (state === 'killed') await this.#worker?.kill();
    if (state === 'killed' || this.#worker === undefined) this.#worker = await this.#start(disk);
    if (state === 'building') return yield* this.#build(cuts, { worker: this.#worker, disk });
    const start = await this.#bring(this.#worker, state);
    for (const seconds of cuts) {
      await this.#delay(start + seconds * 1000 - Date.now());
      yield `${state} for ${seconds} s`;
    }
  }

  async *#build(
    cuts: readonly number[],
    { worker, disk }: { readonly worker: Worker; readonly disk: Disk },
  ): AsyncGenerator<string> {
    if (!this.#hasBuilt) await disk.sync();
    this.#hasBuilt = true;
    const saved = cuts.map((steps) => worker.until('saved', steps));
    // The first one that rejects is heard of below.
    for (const each of saved) each.catch(() => {});
    worker.tell('build');
    for (const [i, each] of saved.entries()) {
      await each;
      await this.#delay(this.#random.below(MOST_OF_A_STEP_MS));
      yield `building, ${cuts[i]} steps saved`;
    }
  }

  /** @returns Since when it is in that state. */
  async #bring(worker: Worker, state: Phase['state']): Promise<number> {
    if (state === 'idle') return ask(worker, 'idle', 'pause');
    if (state !== 'closed') return Date.now();
    const closed = await ask(worker, 'closed', 'close');
    this.#worker = undefined;
    return closed;
  }

  #delay(milliseconds: number): Promise<void> {
    return delay(Math.max(0, milliseconds), undefined, { signal: this.#options.signal });
  }

  /** Nothing runs any more, and no cgroup is left, also where it was stopped early. */
  async #end(disk: Disk): Promise<void> {
    if (this.#worker === undefined) return;
    await this.#worker.kill();
    await sweepSandbox({ ...this.#options, at: disk.path });
  }

  async #start(disk: Disk): Promise<Worker> {
    const { directory, world, images, seed } = this.#options;
    const made = madeIn(this.said);
    const first = 1 + made.reduce((most, { build }) => Math.max(most, build), 0);
    const places = { world, images, at: disk.path, contexts: contextsOf(directory) };
    const task = { ...places, seed: seed + first, first, made };
    const worker = new Worker(task, (said) => this.said.push(said));
    await worker.until('open');
    return worker;
  }
}

function madeIn(said: readonly Said[]): readonly Made[] {
  const keys = new Map<number, string>();
  for (const each of said) {
    if (each.type !== 'step' || each.name.stage !== 'main' || each.name.place !== 2) continue;
    keys.set(each.name.build, each.key);
  }
  return [...keys].map(([build, key]) => ({ build, key }));
}

/** @returns When it was so. */
async function ask(worker: Worker, state: 'idle' | 'closed', command: Told): Promise<number> {
  const answer = worker.until(state);
  worker.tell(command);
  return (await answer).at;
}
