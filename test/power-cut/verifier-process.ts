/**
 * Opens what a power cut has left, as after the next start of the machine, and looks at all of it. It must run in a mount
 * namespace of its own, in which `/proc/sys/kernel/random/boot_id` is another.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Builder, orThrow, type StepKey } from '@snapstep/core';
import { mountParts } from './disk.ts';
import { makeBuild } from './make-build.ts';
import type { Found, KnownStep, VerifierTask } from './messages.ts';
import { type StepName, treeOf } from './recipe.ts';
import { differences } from './tree.ts';
import { type OpenWorld, openWorld, partsOf } from './world.ts';

const task = JSON.parse(process.argv[2] ?? '') as VerifierTask;
const troubles: string[] = [];
await mountParts({ file: task.file, parts: partsOf(task.world), at: task.at });
const found = await verify();
// The mounts go with this process.
process.stdout.write(`${JSON.stringify(found)}\n`, () => process.exit(0));

async function verify(): Promise<Found> {
  const nothing = { saved: [], wrong: [], printed: '', troubles };
  const world = await openWorld(task).catch((error: unknown) => error as Error);
  if (world instanceof Error) return { ...nothing, unopened: world.message };
  const { saved, wrong } = await checkSaved(world);
  const printed: string[] = [];
  for (const build of task.builds) {
    await orTrouble(`build ${build}`, () => checkBuild(world.builder, { build, printed }));
  }
  const left = await orTrouble('prune', () => prune(world));
  await orTrouble('close', () => world[Symbol.asyncDispose]());
  await orTrouble('the next opening', () => checkReopened(left ?? []));
  return { saved, wrong, printed: printed.join(''), troubles };
}

async function checkSaved(world: OpenWorld): Promise<Pick<Found, 'saved' | 'wrong'>> {
  const known = new Map(
    (JSON.parse(await readFile(task.known, 'utf8')) as readonly KnownStep[]).map((step) => [step.key, step]),
  );
  const saved = orThrow(await world.builder.list()).map(({ key }) => key);
  const wrong: string[] = [];
  for (const key of saved) {
    const step = known.get(key);
    const problems = step === undefined ? ['nobody made it'] : await problemsOf(world.builder, key, step);
    wrong.push(...problems.map((problem) => `${key} ${JSON.stringify(step?.name)} ${problem}`));
  }
  const stored = orThrow(await world.store.list());
  if (stored.toSorted().join() !== saved.toSorted().join()) {
    troubles.push(`the store has ${stored.length} steps, the index ${saved.length}`);
  }
  return { saved, wrong };
}

async function problemsOf(
  builder: Builder,
  key: StepKey,
  { name, logs }: KnownStep,
): Promise<readonly string[]> {
  const checks = [
    () => wrongFiles(builder, key, name),
    async () => (logs.includes(await logHash(builder, key)) ? [] : ['has another log than it had']),
    async () => void orThrow(await builder.explain(key)),
  ];
  const problems: string[] = [];
  for (const check of checks) {
    const found = await check().catch((error: unknown) => [`cannot be used: ${error}`]);
    problems.push(...(found ?? []));
  }
  return problems;
}

async function wrongFiles(builder: Builder, key: StepKey, name: StepName): Promise<readonly string[]> {
  await using leased = orThrow(await builder.open(key));
  const [volume] = leased.snapshot.volumes.values();
  if (volume === undefined) return ['has no volume'];
  await using mounted = orThrow(await volume.mount());
  return differences(mounted.path, treeOf(name, task.images));
}

async function logHash(builder: Builder, key: StepKey): Promise<string> {
  const hash = createHash('sha256');
  const log = orThrow(await builder.log(key));
  if (log === undefined) return 'none';
  for await (const chunk of log.follow()) hash.update(chunk);
  return hash.digest('hex');
}

/** Builds, and looks at every step of what was built. */
async function checkBuild(
  builder: Builder,
  { build, printed }: { readonly build: number; readonly printed: string[] },
): Promise<void> {
  const names = new Map<StepKey, StepName>();
  const listener = {
    started: (key: StepKey, name: StepName) => void names.set(key, name),
    saved: () => {},
    printed: (chunk: Uint8Array) => void printed.push(Buffer.from(chunk).toString()),
  };
  await makeBuild(builder, { build, contexts: task.contexts, listener });
  for (const [key, name] of names) {
    const [problem] = await wrongFiles(builder, key, name);
    if (problem !== undefined) throw new Error(`${key} ${JSON.stringify(name)} ${problem}`);
  }
}

/** @returns What is left. */
async function prune({ builder }: OpenWorld): Promise<readonly string[]> {
  orThrow(await builder.prune({ maxObjects: 5 }));
  orThrow(await builder.usage());
  return orThrow(await builder.list()).map(({ key }) => key);
}

async function checkReopened(expected: readonly string[]): Promise<void> {
  await using world = await openWorld(task);
  const keys = orThrow(await world.builder.list()).map(({ key }) => key as string);
  if (keys.toSorted().join() !== expected.toSorted().join()) {
    throw new Error(`there are ${keys.length} steps, not the ${expected.length} that were left`);
  }
}

async function orTrouble<T>(what: string, work: () => T | PromiseLike<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    troubles.push(`${what}: ${error instanceof Error ? error.stack : error}`);
    return undefined;
  }
}
