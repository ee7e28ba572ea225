// Calls everything that a builder and its parts answer, in one state, and tells how each call ended.
import { writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { inspect } from 'node:util';
import { type BuildRequest, parseSpec, toHostPath, toStepKey } from '@snapstep/core';
import { expectErr, expectOk } from '@snapstep/test-support';
import type { Answer, WorldPlace } from '../damage/answer.ts';
import { ask } from '../damage/child/ask.ts';
import { World } from '../damage/child/world.ts';
import { FAILING, PLAIN, recipe } from '../damage/recipes.ts';
import { CALLS, type Subject } from './calls.ts';
import { stateNames, stateOf } from './states.ts';

export interface Job {
  readonly state: string;
  readonly place: WorldPlace;
  /** A directory on another disk. */
  readonly scratch: string;
}

export interface Told {
  readonly answers: readonly Answer[];
  /** What would have ended the process of a host. */
  readonly traps: readonly string[];
  /** The states that there are for such a disk. */
  readonly states: readonly string[];
}

const traps: string[] = [];
process.on('unhandledRejection', (reason) => void traps.push(`unhandledRejection: ${inspect(reason)}`));
process.on('uncaughtException', (error) => void traps.push(`uncaughtException: ${inspect(error)}`));

const { state, place, scratch } = JSON.parse(process.argv[2] ?? '') as Job;
try {
  const told = JSON.stringify(await run());
  for (let at = 0; at < told.length; at += 4096) writeSync(1, told.slice(at, at + 4096));
  process.exit(0);
} catch (error) {
  writeSync(2, inspect(error));
  process.exit(70);
}

async function run(): Promise<Told> {
  const { isAborted = false, begin } = stateOf(state);
  const world = new World();
  const opened = await world.open(place);
  const { builder, parts } = world;
  if (builder === undefined || parts === undefined) throw new Error(`it does not open: ${inspect(opened)}`);
  const request = (text: string): BuildRequest => ({
    spec: expectOk(parseSpec(text)),
    context: toHostPath(place.context),
  });
  const requests = {
    saved: request(recipe('first').text),
    partly: request(recipe('second').text),
    new: request(recipe('third', 'other').text),
  };
  const result = expectOk(await builder.build(requests.saved));
  await result[Symbol.asyncDispose]();
  const failure = expectErr(await builder.build(request(FAILING.text)));
  const failed = failure.type === 'step-failed' ? failure.key : toStepKey('f'.repeat(64));
  const base = expectOk(await builder.list())[0]?.key ?? result.key;
  const states = stateNames(place.storeDisk);
  await mkdir(scratch, { recursive: true });
  const subject: Subject = {
    ...{ builder, parts, failed, requests, saved: base, image: PLAIN, scratch: toHostPath(scratch) },
    signal: isAborted ? AbortSignal.abort(new Error('not wanted')) : new AbortController().signal,
  };
  const end = await begin({ world, disk: place.storeDisk });
  const answers: Answer[] = [];
  for (const [name, call] of CALLS) answers.push((await ask(name, () => call(subject))).answer);
  await end();
  answers.push(...(await world.close()));
  return { answers, traps, states };
}
