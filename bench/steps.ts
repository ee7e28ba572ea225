/**
 * What whole builds cost, on Btrfs on a loop device, with runc and with crun. As root:
 *
 *     node bench/steps.ts [steps]
 *
 * - trivial `run` steps on a busybox image: all together, for each step, and from the cache;
 * - four stages that wait a second each;
 * - a copy of 20,000 files, 200 MB: for the first time, unchanged, and with one file changed.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Builder, orThrow, parseSpec, toHostPath } from '@snapstep/core';
import { makePlace } from '../test/stories/combination.ts';

const steps = Number(process.argv[2] ?? 20);
const FILES = 20_000;
const BYTES = 10_000;

for (const runtime of ['runc', 'crun'] as const) {
  await using place = await makePlace({ store: 'btrfs', runtime });
  await using world = await place.open();
  await timed(world.builder, '((from busybox))');
  const chain = Array.from({ length: steps }, (_, i) => `(run (shell "true ${i}"))`).join('');
  const trivial = `((from busybox) (shell /bin/sh -c) ${chain})`;
  const cold = await timed(world.builder, trivial);
  report(runtime, `${steps} trivial steps`, cold);
  report(runtime, 'each of them', cold / steps);
  report(runtime, 'the same, cached', await timed(world.builder, trivial));

  const stage = (i: number): string =>
    `(build s${i} ((from busybox) (shell /bin/sh -c) (run (shell "sleep 1; echo ${i} > /s${i}"))))`;
  const copy = (i: number): string => `(copy (from (build s${i})) (src s${i}) (dst /))`;
  const four = [1, 2, 3, 4];
  report(
    runtime,
    '4 stages of a second',
    await timed(world.builder, `(${four.map(stage).join('')} (from busybox) ${four.map(copy).join('')})`),
  );

  const context = join(place.path, 'context');
  await makeFiles(context);
  const copies = '((from busybox) (copy (src .) (dst /src/)))';
  report(runtime, `copy of ${FILES} files`, await timed(world.builder, copies, context));
  report(runtime, 'unchanged', await timed(world.builder, copies, context));
  await writeFile(join(context, 'd7/f7'), 'changed');
  report(runtime, 'one changed', await timed(world.builder, copies, context));
}
console.log(`peak memory of this process: ${Math.round(process.resourceUsage().maxRSS / 1024)} MB`);

async function timed(builder: Builder, text: string, context?: string): Promise<number> {
  const spec = orThrow(parseSpec(text));
  const start = performance.now();
  await using _result = orThrow(
    await builder.build({ spec, ...(context === undefined ? {} : { context: toHostPath(context) }) }),
  );
  return performance.now() - start;
}

async function makeFiles(dir: string): Promise<void> {
  for (let d = 0; d < 100; d += 1) {
    await mkdir(join(dir, `d${d}`), { recursive: true });
    for (let f = 0; f < FILES / 100; f += 1)
      await writeFile(join(dir, `d${d}/f${f}`), `${d} ${f} `.padEnd(BYTES, 'x'));
  }
}

function report(runtime: string, what: string, milliseconds: number): void {
  console.log(`${runtime}  ${what.padEnd(28)} ${milliseconds.toFixed(1).padStart(9)} ms`);
}
