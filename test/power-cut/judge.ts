import type { Cut } from './life.ts';
import type { Found, KnownStep, Said } from './messages.ts';
import { CACHE_LINE } from './recipe.ts';

/** How many seconds before a power cut a step may have been saved and still be lost. */
const MOST_SECONDS_LOST = 20;

export interface Problem {
  /** `wrong`: something that is saved is not as it was made. `trouble`: something did not work afterwards. */
  readonly kind: 'unopened' | 'wrong' | 'lost' | 'trouble';
  readonly text: string;
}

/** What is to be said of one cut. */
export interface Verdict {
  readonly cut: Cut;
  /** Steps that were answered as saved, and not removed since. */
  readonly answered: number;
  readonly saved: number;
  /** Saved steps that are not as they were made. */
  readonly wrong: number;
  /** For each step that was answered and is lost, how many seconds before the cut that was; the youngest first. */
  readonly lostAges: readonly number[];
  /** Empty if all is well. */
  readonly problems: readonly Problem[];
}

/** All steps that were ever started, with what is known of them. */
export function knownSteps(said: readonly Said[]): readonly KnownStep[] {
  const known = new Map<string, { key: string; name: KnownStep['name']; logs: string[] }>();
  for (const each of said) {
    if (each.type === 'step' && !known.has(each.key)) {
      known.set(each.key, { key: each.key, name: each.name, logs: [] });
    }
    if (each.type === 'saved') known.get(each.key)?.logs.push(each.log);
  }
  return [...known.values()];
}

/** The build whose step was the last to be saved before a cut. */
export function buildBefore(said: readonly Said[], cut: Cut): number {
  const last = [...answeredBefore(said, cut.begin).keys()].at(-1);
  const step = said.find((each) => each.type === 'step' && each.key === last);
  return step?.type === 'step' ? step.name.build : 1;
}

export function judge(
  said: readonly Said[],
  { cut, found }: { readonly cut: Cut; readonly found: Found },
): Verdict {
  const answered = answeredBefore(said, cut.begin);
  const saved = new Set(found.saved);
  const lost = [...answered].filter(([key]) => !saved.has(key));
  const lostAges = lost.map(([, at]) => (cut.begin - at) / 1000).toSorted((a, b) => a - b);
  const wrong = new Set(found.wrong.map((line) => line.split(' ')[0])).size;
  const problems =
    found.unopened === undefined
      ? [...problemsOf(found), ...lossProblems(cut, lostAges)]
      : [{ kind: 'unopened' as const, text: found.unopened }];
  return { cut, answered: answered.size, saved: saved.size, wrong, lostAges, problems };
}

/** A key → when it was last answered as saved; in this order. */
function answeredBefore(said: readonly Said[], moment: number): ReadonlyMap<string, number> {
  const answered = new Map<string, number>();
  const remove = (key: string): void => void answered.delete(key);
  for (const each of said) {
    if (each.type === 'removed' && each.since <= moment) each.keys.forEach(remove);
    if (each.type !== 'saved' || each.at > moment) continue;
    remove(each.key);
    answered.set(each.key, each.at);
  }
  return answered;
}

function problemsOf({ wrong, troubles, printed }: Found): readonly Problem[] {
  const caches = Array.from(printed.matchAll(CACHE_LINE), ([, name, version]) => ({ name, version }));
  const broken = caches.filter(({ version }) => version === undefined);
  return [
    ...[...wrong, ...broken.map(({ name }) => `cache ${name}`)].map((text) => ({
      kind: 'wrong' as const,
      text,
    })),
    ...troubles.map((text) => ({ kind: 'trouble' as const, text })),
  ];
}

function lossProblems({ state }: Cut, ages: readonly number[]): readonly Problem[] {
  const oldest = ages.at(-1);
  if (oldest === undefined) return [];
  if (state === 'closed') return [{ kind: 'lost', text: `${ages.length} steps, although it was closed` }];
  if (oldest <= MOST_SECONDS_LOST) return [];
  return [{ kind: 'lost', text: `a step that was saved ${oldest.toFixed(1)} s before the cut` }];
}
