/**
 * Lets builders live on disks, cuts the power, and looks at what is left. It must run in a mount namespace of its own:
 * the mounts, and with them the loop devices, go with it and with the processes that it started. It ends when nobody
 * writes to its standard input any more, in good order: what was begun is finished, so that no container is left.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { xfsVolume } from '@snapstep/test-support';
import { makeBaseImages } from './base-image.ts';
import { buildBefore, judge, knownSteps } from './judge.ts';
import { type Cut, Life } from './life.ts';
import { freshBuildLike } from './recipe.ts';
import type { Report, RunTask } from './run.ts';
import { inTurns } from './turns.ts';
import { verify } from './verify.ts';
import { nameOf, type World } from './world.ts';

const OUTER_MIB = 64 * 1024;

const task = JSON.parse(process.argv[2] ?? '') as RunTask;
const stop = new AbortController();
// Nobody listens any more either.
process.stdout.on('error', () => {});
process.stdin.on('end', () => stop.abort(new Error('stopped'))).resume();
/** As many verifiers as the machine has processors, if it is the one that we plan for. */
const processors = inTurns(2);
await run();
process.exit(0);

async function run(): Promise<void> {
  await using outer = await xfsVolume({ sizeMiB: OUTER_MIB });
  const images = join(outer.path, 'images');
  await mkdir(images);
  await makeBaseImages(images);
  const lives = task.worlds.map((world, i) =>
    runWorld(world, { directory: join(outer.path, `${i}`), images }),
  );
  const ended = await Promise.allSettled(lives);
  for (const [i, { status, reason }] of (ended as readonly PromiseRejectedResult[]).entries()) {
    if (status !== 'rejected') continue;
    const world = nameOf(task.worlds[i] as World);
    say({ type: 'failed', world, message: `${reason instanceof Error ? reason.stack : reason}` });
  }
}

async function runWorld(world: World, place: { directory: string; images: string }): Promise<void> {
  const life = new Life({ ...place, ...task, world, signal: stop.signal });
  // One after the other: the sandboxes of two copies would end what the other runs.
  const turn = inTurns(1);
  const looks: Promise<void>[] = [];
  try {
    for await (const cut of life.live()) {
      const looking = turn(() => processors(() => look(life, { world, cut, ...place })));
      looking.catch(() => {});
      looks.push(looking);
    }
    await Promise.all(looks);
  } finally {
    await Promise.allSettled(looks);
    for (const said of life.said) {
      if (said.type === 'failed') say({ type: 'failed', world: nameOf(world), message: said.message });
    }
  }
}

async function look(
  life: Life,
  { world, cut, directory, images }: { world: World; cut: Cut; directory: string; images: string },
): Promise<void> {
  stop.signal.throwIfAborted();
  const known = `${cut.file}.known`;
  await writeFile(known, JSON.stringify(knownSteps(life.said)));
  const build = buildBefore(life.said, cut);
  const builds = [build, freshBuildLike(build)] as const;
  const found = await verify(directory, { world, images, file: cut.file, known, builds });
  await rm(cut.file);
  say({ type: 'verdict', world: nameOf(world), ...judge(life.said, { cut, found }) });
}

function say(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
