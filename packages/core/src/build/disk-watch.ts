import { setTimeout as delay } from 'node:timers/promises';
import { ok } from 'neverthrow';
import { DiskProbe, type DiskRoom } from '../backend/disk-room.ts';
import type { StoreFeature, StoreFeatures } from '../backend/store.ts';
import type { Mounted, Volume, Volumes } from '../backend/volume.ts';
import { type SpareRules, shortageOf } from './spare-room.ts';

/** A disk is looked at no more often, and no less. */
const PAUSES_MS = { shortest: 10, longest: 250 };

/** No program fills a disk faster. */
const PER_MS = { bytes: 2_000_000, inodes: 100 };

/** A disk that was full so short a time ago may have been so again while nobody looked. */
const TENSE_MS = 60_000;

/**
 * Why what a command did is not trusted: its disk was `full`; another step found that, or nobody looked for too long, which
 * is `doubtful`; or it has `used-up` what it may write.
 */
export type Verdict = 'full' | 'doubtful' | 'used-up';

/** What a step may write, and whether it has. */
export interface Allowance {
  isUsedUp(): Promise<boolean>;
  /** Whether the store itself has no room. */
  isStoreShort(): Promise<boolean>;
}

/** Somewhere that a step writes to now. */
interface Place {
  readonly probe: DiskProbe;
  readonly step: StepWatch;
}

/**
 * Knows whether the disks that steps write to were full at any time while they ran. A program that finds no room need
 * not say so: what it left behind is then not what it would have left behind.
 *
 * While a step runs, one of the places that steps write to is looked at every now and then, more often the less is left.
 * A disk that is full only between two looks is missed; but where it was full not long ago, and a busy machine let so
 * much time go by that it could have been filled, it is taken for full.
 */
export class DiskWatch {
  readonly rules: SpareRules;
  readonly #places = new Set<Place>();
  #alarms = 0;
  #doubts = 0;
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  /** When it was looked at last, and for how long after that it cannot have been filled. */
  #last: { readonly at: number; readonly safeMs: number } | undefined;
  #fullAt = Number.NEGATIVE_INFINITY;

  constructor(rules: SpareRules) {
    this.rules = rules;
  }

  /** How often somebody found the store full. */
  get alarms(): number {
    return this.#alarms;
  }

  /** How often nobody looked for so long that the disk may have been full again. */
  get doubts(): number {
    return this.#doubts;
  }

  /**
   * Settles once the disk has not been found full for so long that a busy machine raises no doubts.
   *
   * @throws The signal's reason.
   */
  async calm(signal: AbortSignal): Promise<void> {
    for (let left = this.#tenseFor(); left > 0; left = this.#tenseFor()) {
      await delay(left, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  /** Somebody found the store full: no step that runs now is trusted. */
  alarm(): void {
    this.#alarms += 1;
    this.#fullAt = performance.now();
  }

  /** @param allowance - Of a step whose volumes look full when it has written what it may. */
  begin(volumes: Volumes, allowance?: Allowance): StepWatch {
    return new StepWatch(this, { volumes, allowance });
  }

  /** From now on this place is looked at too. */
  enter(place: Place): void {
    this.#places.add(place);
    this.#wakeIn(this.look(place));
  }

  leave(place: Place): void {
    if (!this.#places.delete(place)) return;
    this.look(place);
    if (this.#places.size > 0) return;
    this.#sleep();
    this.#last = undefined;
  }

  /** @returns In how many milliseconds to look again. */
  look({ probe, step }: Place): number {
    const room = probe.look();
    if (room === undefined) return PAUSES_MS.longest;
    const shortage = shortageOf(room, this.rules);
    if (shortage !== undefined) step.found(room, shortage);
    const soonest = fullInMs(room);
    const pause = Math.max(PAUSES_MS.shortest, Math.min(PAUSES_MS.longest, soonest));
    if (!step.hasAllowance) this.#looked(Math.max(PAUSES_MS.longest, 2 * pause, soonest));
    return pause;
  }

  /** Notices that the disk may have been full since the last look. */
  #looked(safeMs: number): void {
    const now = performance.now();
    if (this.#last && this.#tenseFor() > 0 && now - this.#last.at > this.#last.safeMs) this.#doubts += 1;
    this.#last = { at: now, safeMs };
  }

  /** In milliseconds. */
  #tenseFor(): number {
    return this.#fullAt + TENSE_MS - performance.now();
  }

  /** One place for all, in turn: they are on one disk, but for what an allowance makes of it. */
  #lookAtNext(): void {
    this.#due = Number.POSITIVE_INFINITY;
    const [next] = this.#places;
    if (next === undefined) return;
    this.#places.delete(next);
    this.#places.add(next);
    this.#wakeIn(this.look(next));
  }

  #wakeIn(milliseconds: number): void {
    const due = performance.now() + milliseconds;
    if (due >= this.#due) return;
    this.#sleep();
    this.#due = due;
    this.#timer = setTimeout(() => this.#lookAtNext(), milliseconds).unref();
  }

  #sleep(): void {
    clearTimeout(this.#timer);
    this.#due = Number.POSITIVE_INFINITY;
  }
}

const UNSEEN = 'it was full not long ago, and the machine was too busy to look again';

/** Looks after the volumes of one step, for as long as it is not disposed. */
export class StepWatch implements Disposable {
  /** The volumes of the step. What mounts them has them watched. */
  readonly volumes: Volumes;
  readonly #disks: DiskWatch;
  readonly #allowance: Allowance | undefined;
  readonly #originals = new Map<Volume, Volume>();
  readonly #places = new Set<Place>();
  readonly #alarms: number;
  readonly #doubts: number;
  #worst: { readonly room: DiskRoom; readonly shortage: string } | undefined;
  #verdict: Verdict | undefined;

  constructor(
    disks: DiskWatch,
    parts: { readonly volumes: Volumes; readonly allowance: Allowance | undefined },
  ) {
    this.#disks = disks;
    this.#allowance = parts.allowance;
    this.#alarms = disks.alarms;
    this.#doubts = disks.doubts;
    this.volumes = new Map([...parts.volumes].map(([name, volume]) => [name, this.#watched(volume)]));
  }

  get hasAllowance(): boolean {
    return this.#allowance !== undefined;
  }

  /** The features of the store, of which `placement` knows the watched volumes. */
  features<F extends StoreFeature>(features: Pick<StoreFeatures, F>): Pick<StoreFeatures, F> {
    const { placement } = features as Partial<StoreFeatures>;
    if (placement === undefined) return features;
    const mountAt: typeof placement.mountAt = async (volume, target, options) => {
      const mounted = await placement.mountAt(this.#originals.get(volume) ?? volume, target, options);
      return mounted.isErr() ? mounted : ok(this.#entered(mounted.value));
    };
    return { ...features, placement: { mountAt } };
  }

  /** What is nearly used up, for a step that has no allowance: nothing need be started on such a disk. */
  get shortage(): string | undefined {
    return this.#allowance ? undefined : this.#worst?.shortage;
  }

  /** What {@link judge} said. */
  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** To be called once a command has ended. @returns Why it is not to be trusted, as a sentence. */
  async judge(): Promise<string | undefined> {
    this.#verdict = await this.#look();
    if (this.#verdict === undefined) return undefined;
    if (this.#worst) return this.#worst.shortage;
    return this.#isAlarmed ? 'another step found the store full' : UNSEEN;
  }

  get #isAlarmed(): boolean {
    return this.#disks.alarms !== this.#alarms;
  }

  /** @internal */
  found(room: DiskRoom, shortage: string): void {
    if (this.#worst === undefined || room.bytes.free < this.#worst.room.bytes.free)
      this.#worst = { room, shortage };
    if (this.#allowance === undefined) this.#disks.alarm();
  }

  [Symbol.dispose](): void {
    for (const place of this.#places) this.#disks.leave(place);
  }

  async #look(): Promise<Verdict | undefined> {
    const isDoubtful = this.#isAlarmed || this.#disks.doubts !== this.#doubts;
    if (this.#worst === undefined) return isDoubtful ? 'doubtful' : undefined;
    if (this.#allowance === undefined) return 'full';
    if (await this.#allowance.isUsedUp()) return 'used-up';
    if (isDoubtful || (await this.#allowance.isStoreShort())) return 'full';
    // It was used up, and something was deleted since.
    return this.#worst.room.bytes.free === 0 ? 'used-up' : undefined;
  }

  #watched(volume: Volume): Volume {
    const watched: Volume = {
      name: volume.name,
      mount: async () => (await volume.mount()).map((mounted) => this.#entered(mounted)),
    };
    this.#originals.set(watched, volume);
    return watched;
  }

  #entered(mounted: Mounted): Mounted {
    const place: Place = { probe: new DiskProbe(mounted.path), step: this };
    this.#places.add(place);
    this.#disks.enter(place);
    return {
      path: mounted.path,
      [Symbol.asyncDispose]: async () => {
        this.#disks.leave(place);
        this.#places.delete(place);
        await mounted[Symbol.asyncDispose]();
      },
    };
  }
}

/** How soon the disk could be full. */
function fullInMs({ bytes, inodes, metadata }: DiskRoom): number {
  return Math.min(
    bytes.free / PER_MS.bytes,
    (metadata?.free ?? Number.POSITIVE_INFINITY) / PER_MS.bytes,
    (inodes?.free ?? Number.POSITIVE_INFINITY) / PER_MS.inodes,
  );
}
