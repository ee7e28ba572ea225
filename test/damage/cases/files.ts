import { extname, join } from 'node:path';
import { mountPointsBelow } from '@snapstep/core/backend';
import { expectOk } from '@snapstep/test-support';
import type { StoreKind } from '../answer.ts';
import type { CaseReport, CaseScene, DamageCase } from '../case.ts';
import type { Disk } from '../disk.ts';
import { Elsewhere } from '../elsewhere.ts';
import { HARMS, type Harm, Harmed } from '../harms.ts';
import { classesOf, type Found, placesOn } from '../places.ts';
import { randomOf } from '../random.ts';
import { PLAIN, recipe } from '../recipes.ts';
import { copyOf, FIRST, SLOW, type Template, type When } from '../template.ts';
import { Trial } from '../trial.ts';

interface FileCase {
  readonly template: Template;
  readonly place: Pick<Found, 'class' | 'kind'>;
  readonly harm: Harm;
  readonly when: When;
}

const WHENS: readonly When[] = ['closed', 'open', 'running', 'killed'];

/**
 * Every class of file, with every harm, at every time, on every store. The standard run has, of each class, one harm of
 * those that a disk does by itself and one of the others, each once.
 */
export function fileCases(templates: readonly Template[], seed: string): readonly DamageCase[] {
  const all = templates.flatMap((template) =>
    WHENS.flatMap((when) =>
      classesOf(template.places[when]).flatMap((place) =>
        HARMS.filter((harm) => isOurs(place, harm)).map((harm) => ({ template, place, harm, when })),
      ),
    ),
  );
  const groups = Map.groupBy(all, ({ place, harm }) => `${place.kind} ${place.class} ${harm.isOrdinary}`);
  return [...groups].flatMap(([name, group]) => {
    const chosen = Math.floor(randomOf(seed + name)() * group.length);
    return group.map((one, i) => toCase(one, i === chosen));
  });
}

/** What is in a volume is the user's, and nobody else knows what should be there. */
function isOurs({ class: name, kind }: FileCase['place'], { to, name: harm }: Harm): boolean {
  const isVolume = /^store\/(result|layers)\/[^/]+\/[^/]+$/.test(name);
  return to === kind && !(isVolume && harm === 'emptied');
}

function toCase(file: FileCase, isStandard: boolean): DamageCase {
  const { template, place, harm, when } = file;
  return {
    name: `file:${place.class}:${harm.name}:${when}:${template.store}`,
    kind: `file ${harm.name}`,
    class: place.class,
    isStandard,
    run: (scene) => run(file, scene),
  };
}

async function run(file: FileCase, { bench, worker, seed }: CaseScene): Promise<CaseReport> {
  const { template, when } = file;
  const trial = new Trial(bench, { worker, known: template.known });
  {
    await using disk = await copyOf(template, bench.directory);
    const random = randomOf(seed);
    await using elsewhere = await Elsewhere.make(bench.directory);
    const damage = () => harmOne(file, { disk, random, elsewhere: elsewhere.path });
    // What takes long is done in some of the cases.
    const damaged = new Damaged(file, { trial, disk, isThorough: random() < 0.25 });
    if (when === 'killed') await damaged.kill();
    if (when === 'closed' || when === 'killed') await damaged.closed(damage);
    else await damaged.open(damage);
    // A place of ours may well be a link to one elsewhere.
    for (const change of await elsewhere.changes(/^[a-z]+$/.test(file.place.class)))
      trial.find('touched', change);
    const left = trial.hasDied ? undefined : await disk.unmount();
    if (left !== undefined) trial.find('left', left);
  }
  return { findings: trial.findings, told: trial.told };
}

/** @returns Undefined if there is no such file at this moment. */
async function harmOne(
  { template, place, harm }: FileCase,
  {
    disk,
    random,
    elsewhere,
  }: { readonly disk: Disk; readonly random: () => number; readonly elsewhere: string },
): Promise<Harmed | undefined> {
  const found = await placesOn(disk.path, template.roles);
  const [one, sibling] = found.filter((each) => each.class === place.class && each.kind === place.kind);
  const alike = sibling ?? found.find((each) => isAlike(each, one));
  if (one === undefined) return undefined;
  const path = join(disk.path, one.path);
  // Who moves a directory away takes along what is mounted in it: nobody finds that again.
  if (harm.replaces && expectOk(await mountPointsBelow(path)).length > 0) return undefined;
  return Harmed.do(harm, {
    ...{ path, disk: disk.path, random, elsewhere },
    sibling: alike && join(disk.path, alike.path),
  });
}

/** A record of another step, another database. */
function isAlike(other: Found, one: Found | undefined): boolean {
  const isSame = other.path === one?.path || other.kind !== 'file';
  return !isSame && extname(other.path) === extname(one?.path ?? '');
}

/** What is done with a builder whose files are damaged, and what has to work nevertheless. */
class Damaged {
  readonly #file: FileCase;
  readonly #trial: Trial;
  readonly #disk: Disk;
  readonly #isThorough: boolean;

  constructor(
    file: FileCase,
    { trial, disk, isThorough }: { readonly trial: Trial; readonly disk: Disk; readonly isThorough: boolean },
  ) {
    this.#file = file;
    this.#trial = trial;
    this.#disk = disk;
    this.#isThorough = isThorough;
  }

  /** Opened with the damage, and if it says that it cannot be, again when the damage is taken away. */
  async closed(damage: () => Promise<Harmed | undefined>): Promise<void> {
    const harmed = await damage();
    const mayRefuse = !this.#canDoWithout;
    const isOpen = await this.#open(mayRefuse ? undefined : 'it can be done without');
    if (!isOpen && harmed) {
      await harmed.undo();
      if (!(await this.#open('the damage is mended'))) return;
    }
    await this.#lookForLost();
    await this.#useAll(isOpen ? undefined : 'the damage is mended');
    await this.#reopen(isOpen ? harmed : undefined);
  }

  /** Ends the process in the middle of a step. */
  async kill(): Promise<void> {
    await this.#open('a good disk');
    const { handle } = this.#trial;
    const { paused } = handle;
    const slow = handle.ask({ do: 'build', recipe: SLOW, pauseAt: 'going' });
    await Promise.race([paused, slow]);
    await handle[Symbol.asyncDispose]();
  }

  async open(damage: () => Promise<Harmed | undefined>): Promise<void> {
    await this.#open('a good disk');
    let harmed: Harmed | undefined;
    if (this.#file.when === 'running') {
      const { paused } = this.#trial.handle;
      const slow = this.#trial.build(SLOW, { pauseAt: 'going' });
      await Promise.race([paused, slow]);
      harmed = await damage();
      await slow;
    } else {
      await this.#trial.build(FIRST, { must: 'a good disk' });
      harmed = await damage();
    }
    await this.#useAll(undefined);
    await this.#reopen(harmed);
  }

  #open(must: string | undefined): Promise<boolean> {
    const place = this.#trial.bench.place(this.#file.template.store, { store: this.#disk.path });
    return this.#trial.open(place, { must });
  }

  /** Each public call. @param must - Why all of them have to work, if they do. */
  async #useAll(must: string | undefined): Promise<void> {
    const trial = this.#trial;
    const { known } = this.#file.template;
    const [first, last] = [known[0]?.key ?? '', known.at(-1)?.key ?? ''];
    const builds = must ?? (this.#canDoWithout ? 'it can be done without' : undefined);
    await trial.build(FIRST, { must: builds });
    await trial.build(recipe('second'), { must: builds });
    await trial.ask({ do: 'plan', recipe: recipe('third') }, { must });
    for (const key of [first, last]) {
      await trial.ask({ do: 'explain', key });
      await trial.ask({ do: 'log', key });
    }
    for (const one of ['usage', 'caches', 'list'] as const) await trial.ask({ do: one }, { must });
    if (this.#isThorough) await trial.ask({ do: 'healthcheck', image: PLAIN }, { must: builds });
    await trial.ask({ do: 'remove-cache', id: 'c' }, { must });
    await trial.ask({ do: 'remove', key: last });
    await trial.ask({ do: 'prune', limit: 1 }, { must });
    await trial.audit();
    if (!this.#isThorough) return;
    await trial.ask({ do: 'prune' }, { must });
    await trial.build(FIRST, { must: builds });
  }

  /** Closes it and opens it again: as it is if it can be, or when the damage is taken away. Then all must be well. */
  async #reopen(harmed: Harmed | undefined): Promise<void> {
    const trial = this.#trial;
    await trial.ask({ do: 'close' });
    const isOpen = await this.#open(undefined);
    const works = isOpen && (await trial.build(FIRST))?.outcome === 'ok';
    if (!works && harmed) {
      await trial.ask({ do: 'close' });
      await harmed.undo();
      if (!(await this.#open('the damage is mended'))) return;
    }
    await trial.build(FIRST, { must: 'the damage is mended, or was lived with' });
    await trial.audit();
    await trial.ask({ do: 'close' });
  }

  async #lookForLost(): Promise<void> {
    const listed = await this.#trial.audit();
    if (!keepsAll(this.#file.place.class)) return;
    const lost = this.#file.template.known.filter(({ key }) => !listed.has(key));
    if (lost.length > 0)
      this.#trial.find('lost', `${lost.length} of ${this.#file.template.known.length} steps`);
  }

  get #canDoWithout(): boolean {
    return this.#file.harm.isOrdinary && !NEEDED.test(this.#file.place.class);
  }
}

/** Without these it is a place of somebody else's, or one that is not mounted: nothing is made or deleted there. */
const NEEDED = /^builder$|^store$|snapstep-store\.json$/;

/** Whether it holds nothing that a saved step needs: the index is made anew from the store and the records. */
function keepsAll(place: string): boolean {
  return !/^(builder$|builder\/steps|store$|store\/(result|layers|snapshots))/.test(place);
}

export const STORES: readonly StoreKind[] = ['rsync', 'btrfs', 'overlayfs'];
