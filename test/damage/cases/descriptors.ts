import { execa } from 'execa';
import type { Ask } from '../answer.ts';
import type { CaseReport, CaseScene, DamageCase } from '../case.ts';
import type { Disk } from '../disk.ts';
import { PLAIN, recipe } from '../recipes.ts';
import { copyOf, FIRST, type Template } from '../template.ts';
import { Trial } from '../trial.ts';

/** What the process may have open: so few that taking them all is quick. */
const LIMIT = 220;
const FEW = [0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36];
const EVERY = Array.from({ length: 61 }, (_, i) => i);

type Call = (scene: { readonly known: Template['known']; readonly n: number }) => Ask;

const CALLS: Readonly<Record<string, Call>> = {
  'build cached': () => ({ do: 'build', recipe: FIRST }),
  'build new': ({ n }) => ({ do: 'build', recipe: recipe(`new ${n}`) }),
  'build all': ({ n }) => ({ do: 'build', recipe: recipe(`new ${n}`, `family ${n}`) }),
  plan: ({ n }) => ({ do: 'plan', recipe: recipe(`planned ${n}`) }),
  explain: ({ known }) => ({ do: 'explain', key: known.at(-1)?.key ?? '' }),
  log: ({ known }) => ({ do: 'log', key: known.at(-1)?.key ?? '' }),
  audit: ({ known }) => ({ do: 'audit', known }),
  usage: () => ({ do: 'usage' }),
  'caches.list': () => ({ do: 'caches' }),
  'caches.remove': () => ({ do: 'remove-cache', id: 'c' }),
  healthcheck: () => ({ do: 'healthcheck', image: PLAIN }),
  remove: ({ known }) => ({ do: 'remove', key: known.at(-1)?.key ?? '' }),
  prune: () => ({ do: 'prune' }),
};

/** Each public call with so many descriptors left. With them back, all has to work at once. */
export function descriptorCases(templates: readonly Template[], isLong: boolean): readonly DamageCase[] {
  return templates.flatMap((template, i) =>
    [...Object.keys(CALLS), 'open'].map((name, j) => ({
      name: `descriptors:${name.replace(' ', '-')}:${template.store}`,
      kind: 'no descriptors',
      class: name,
      isStandard: j % templates.length === i,
      run: (scene: CaseScene) => run(name, { ...scene, template, counts: isLong ? EVERY : FEW }),
    })),
  );
}

interface DescriptorScene extends CaseScene {
  readonly template: Template;
  readonly counts: readonly number[];
}

async function run(name: string, scene: DescriptorScene): Promise<CaseReport> {
  const { bench, worker, template } = scene;
  await worker.renew();
  const trial = new Trial(bench, { worker, known: template.known });
  {
    await using disk = await copyOf(template, bench.directory);
    const starved = new Starved(trial, { disk, scene });
    const call = CALLS[name];
    if (call === undefined) await starved.opening();
    else await starved.calling(call);
    const left = trial.hasDied ? undefined : await disk.unmount();
    if (left !== undefined) trial.find('left', left);
  }
  await worker.renew();
  return { findings: trial.findings, told: trial.told };
}

class Starved {
  readonly #trial: Trial;
  readonly #disk: Disk;
  readonly #scene: DescriptorScene;

  constructor(trial: Trial, { disk, scene }: { readonly disk: Disk; readonly scene: DescriptorScene }) {
    this.#trial = trial;
    this.#disk = disk;
    this.#scene = scene;
  }

  async calling(call: Call): Promise<void> {
    const trial = this.#trial;
    const { known } = this.#scene.template;
    await this.#open('a good disk');
    // Pipes, statements and a fetcher's scratch place, which are kept, are there from now on.
    if (call === CALLS.prune) await trial.ask({ do: 'prune' });
    await trial.build(recipe('warm'), { must: 'a good disk' });
    let before = await this.#count();
    for (const n of this.#scene.counts) {
      await this.#limit();
      await trial.ask({ do: 'leave-descriptors', count: n });
      await trial.ask(call({ known, n }));
      await trial.ask({ do: 'release-descriptors' });
      await trial.build(recipe(`after ${n}`), { must: `there are descriptors again, after ${n}` });
      const now = await this.#count();
      if (now > before) trial.find('left', `${now - before} descriptors, with ${n} to begin with`);
      before = now;
      if (trial.hasDied) await this.#open('a builder that has died is opened again');
    }
    await trial.audit();
    await trial.ask({ do: 'close' });
  }

  /** Opens with so many; what was opened is closed with as many. */
  async opening(): Promise<void> {
    const trial = this.#trial;
    for (const n of this.#scene.counts) {
      await this.#limit();
      await trial.ask({ do: 'leave-descriptors', count: n });
      await this.#open(undefined);
      await trial.ask({ do: 'close' });
      await trial.ask({ do: 'release-descriptors' });
    }
    await this.#open('there are descriptors again');
    await trial.build(FIRST, { must: 'there are descriptors again' });
    await trial.ask({ do: 'leave-descriptors', count: 0 });
    await trial.ask({ do: 'close' });
    await trial.ask({ do: 'release-descriptors' });
    await this.#open('there are descriptors again');
    await trial.audit();
    await trial.ask({ do: 'close' });
  }

  #open(must: string | undefined): Promise<boolean> {
    const place = this.#trial.bench.place(this.#scene.template.store, { store: this.#disk.path });
    return this.#trial.open(place, { must });
  }

  async #limit(): Promise<void> {
    await execa('prlimit', ['--pid', `${this.#trial.handle.pid}`, `--nofile=${LIMIT}:`]);
  }

  async #count(): Promise<number> {
    const [answer] = await this.#trial.ask({ do: 'count-descriptors' });
    return Number(answer?.value ?? 0);
  }
}
