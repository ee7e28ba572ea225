/**
 * A builder that works until it is told to stop, or is killed. It builds something new, builds again what it has, removes
 * steps and makes them anew, and prunes, two builds at a time, and says what was answered.
 */
import { createInterface } from 'node:readline';
import { orThrow, toStepKey } from '@snapstep/core';
import { makeBuild } from './make-build.ts';
import type { BuilderTask, Made, Said, Told } from './messages.ts';
import { type RandomNumbers, randomNumbers } from './random-numbers.ts';
import { openWorld } from './world.ts';

const LANES = 2;
const MOST_STEPS = 40;

const task = JSON.parse(process.argv[2] ?? '') as BuilderTask;
const opened = await openWorld(task);
const { builder } = opened;
let command: Told = 'pause';
let changed = Promise.withResolvers<void>();
let busy = 0;

process.stdout.on('error', () => {});
say({ type: 'open' });
const lanes = Array.from({ length: LANES }, (_, lane) => work(lane));
for await (const line of createInterface({ input: process.stdin })) {
  command = line as Told;
  changed.resolve();
  changed = Promise.withResolvers();
  sayIfIdle();
  if (command === 'close') break;
}
// It was told to, or whoever started it is gone.
command = 'close';
changed.resolve();
await Promise.all(lanes);
await opened[Symbol.asyncDispose]();
say({ type: 'closed', at: Date.now() });
process.exit(0);

async function work(lane: number): Promise<void> {
  const random = randomNumbers(task.seed * LANES + lane);
  const made = task.made.filter(({ build }) => build % LANES === lane);
  for (let build = task.first + ((task.first + lane) % LANES); ; ) {
    while (command === 'pause') await changed.promise;
    if (command === 'close') return;
    busy += 1;
    try {
      if (await doSomething(made, { random, build })) build += LANES;
    } catch (error) {
      say({ type: 'failed', message: `${error instanceof Error ? error.stack : error}` });
    }
    busy -= 1;
    sayIfIdle();
  }
}

/** @returns Whether the build of that number was made. */
async function doSomething(
  made: Made[],
  { random, build }: { readonly random: RandomNumbers; readonly build: number },
): Promise<boolean> {
  const old = random.oneOf(made);
  const choice = random.below(10);
  if (old !== undefined && choice < 4) await remakeFrom(old);
  else if (old !== undefined && choice < 5) await make(old.build);
  else if (choice < 6) await prune();
  else {
    made.push({ build, key: await make(build) });
    return true;
  }
  return false;
}

/** @returns The key of its first step after the base image. */
async function make(build: number): Promise<string> {
  let first = '';
  const listener = {
    started(key: string, name: Extract<Said, { type: 'step' }>['name']) {
      if (name.stage === 'main' && name.place === 2) first = key;
      say({ type: 'step', key, name });
    },
    saved: (key: string, log: string) => say({ type: 'saved', key, at: Date.now(), log }),
  };
  await makeBuild(builder, { build, contexts: task.contexts, listener });
  return first;
}

/** What was saved, perhaps long ago, is made again under the same keys. */
async function remakeFrom(old: Made): Promise<void> {
  const since = Date.now();
  const { removed } = orThrow(await builder.remove(toStepKey(old.key)));
  say({ type: 'removed', keys: removed, since });
  await make(old.build);
}

async function prune(): Promise<void> {
  const since = Date.now();
  const { removed } = orThrow(await builder.prune({ maxObjects: MOST_STEPS }));
  say({ type: 'removed', keys: removed, since });
}

function sayIfIdle(): void {
  if (command === 'pause' && busy === 0) say({ type: 'idle', at: Date.now() });
}

function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
