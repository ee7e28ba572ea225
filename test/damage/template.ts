import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuiltStep, KnownStep, StoreKind } from './answer.ts';
import { type Bench, DISK_OF } from './bench.ts';
import { Disk } from './disk.ts';
import { type Found, placesOn } from './places.ts';
import { FAILING, recipe } from './recipes.ts';
import { Trial } from './trial.ts';
import type { Worker } from './worker.ts';

/** When a harm is done: nothing is open; a builder is open and idle; a step runs; the process was killed while it ran. */
export type When = 'closed' | 'open' | 'running' | 'killed';

/** A disk with some saved steps, to be copied for each case, and what was seen on it. */
export interface Template extends AsyncDisposable {
  readonly store: StoreKind;
  readonly image: string;
  readonly known: readonly KnownStep[];
  /** What a key is, such as `run`. */
  readonly roles: ReadonlyMap<string, string>;
  readonly places: Readonly<Record<When, readonly Found[]>>;
}

export const FIRST = recipe('first');
/** Runs long enough for something to happen meanwhile. */
export const SLOW = {
  ...recipe('slow'),
  text: recipe('slow').text.replace('echo made slow', 'echo going; sleep 0.4'),
};
const ROLES: Readonly<Record<string, readonly string[]>> = {
  tool: ['base', 'run'],
  main: ['base', 'run', 'copy', 'copy', 'run'],
};

/** Builds, on a good disk, all that cases start from. */
export async function makeTemplate(
  bench: Bench,
  { store, worker }: { readonly store: StoreKind; readonly worker: Worker },
): Promise<Template> {
  const disk = await Disk.make({ directory: bench.directory, fileSystem: DISK_OF[store] });
  const place = bench.place(store, { store: disk.path });
  const trial = new Trial(bench, { worker });
  await trial.open(place, { must: 'a new disk' });
  const built = await trial.build(FIRST, { must: 'a new disk' });
  const known = (built?.value ?? []) as readonly BuiltStep[];
  await trial.build(FAILING);
  await trial.ask({ do: 'plan', recipe: recipe('planned', 'planned') });
  const roles = await rolesOf(disk.path, known);
  const seen = (): Promise<readonly Found[]> => placesOn(disk.path, roles);
  const open = await seen();
  const { paused } = trial.handle;
  const slow = trial.build(SLOW, { pauseAt: 'going', must: 'a new disk' });
  await Promise.race([paused, slow]);
  const running = await seen();
  await slow;
  await trial.ask({ do: 'close' }, { must: 'a new disk' });
  const closed = await seen();
  const left = await disk.unmount();
  if (left !== undefined) trial.find('left', left);
  if (trial.findings.length > 0)
    throw new Error(`a good disk: ${trial.findings.map(({ fault, text }) => `${fault} ${text}`).join('\n')}`);
  return {
    ...{ store, image: disk.image, known, roles, places: { closed, open, running, killed: running } },
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

/** A disk with what the template has. Its sandbox is another one: two with one identity would end each other's steps. */
export async function copyOf(template: Template, directory: string): Promise<Disk> {
  const disk = await Disk.copy(template.image, { directory, fileSystem: DISK_OF[template.store] });
  await writeFile(join(disk.path, 'sandbox/identity'), `${randomBytes(6).toString('hex')}\n`);
  return disk;
}

/** Steps with a log that were not built have failed, those with a record only were planned. */
async function rolesOf(disk: string, built: readonly BuiltStep[]): Promise<ReadonlyMap<string, string>> {
  const roles = new Map(built.map(({ key, stage, number }) => [key, ROLES[stage]?.[number - 1] ?? 'step']));
  for (const [directory, role] of [
    ['builder/logs', 'failed'],
    ['builder/steps', 'planned'],
  ] as const) {
    for (const name of await readdir(join(disk, directory), { recursive: true })) {
      const key = /[0-9a-f]{64}/.exec(name)?.[0];
      if (key !== undefined && !roles.has(key)) roles.set(key, role);
    }
  }
  return roles;
}
