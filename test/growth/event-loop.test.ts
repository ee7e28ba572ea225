import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Builder, type BuildRequest, parseSpec, toHostPath } from '@snapstep/core';
import { expectOk, needs } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { openBench } from '../damage/bench.ts';
import { World } from '../damage/child/world.ts';
import { PLAIN } from '../damage/recipes.ts';
import { longestBlock } from './measure.ts';

const MOST_MS = 50;
const MIB = 1024 * 1024;
const FROM = `(from ${PLAIN}) (shell /bin/sh -c)`;

/** As long as a spec may be, in each way in which it may be long. */
const LONGEST: Readonly<Record<string, string>> = {
  'the most ops': `(${FROM} ${numbered(999, (i) => `(run (cache (c${i % 9} (target /c))) (shell "echo ${i}"))`)})`,
  'the most stages': `(${numbered(250, (i) => `(build s${i} ((from ${PLAIN})))`)} (from ${PLAIN})
    ${numbered(1000, (i) => `(copy (from (build s${i % 250})) (src /a) (dst /b))`)})`,
  'the most arguments': `((from ${PLAIN}) (shell ${'a '.repeat(19_990)}))`,
  'the longest command': `(${FROM} (run (shell "${'x'.repeat(MIB - 100)}")))`,
  'the longest command, escaped': `(${FROM} (run (shell "${'\\n'.repeat(MIB / 2 - 100)}")))`,
  'the most variables': `(${FROM} ${numbered(800, (i) => `(env A${i} ${i})`)} ${numbered(190, (i) => `(run (shell ${i}))`)})`,
};

const COPY = '(copy (src many) (dst /many))';
const BUILT: readonly string[] = [
  `(${FROM} ${COPY})`,
  `(${FROM} (copy (src large) (dst /large)))`,
  `(${FROM} (run (shell "yes 0123456789012345678901234567890123456789 | head -c 60000000")))`,
  `(${FROM} (run (shell "yes | head -c 5000000; sleep 0.1")))`,
  `((build a (${FROM} ${COPY} (run (shell true)))) ${FROM} (copy (from (build a)) (src /many) (dst /many)))`,
];

it.each(Object.entries(LONGEST))(
  'a spec with %s is read within a twentieth of a second',
  async (name, text) => {
    const block = await longestBlock(async () => void expectOk(parseSpec(text)), MOST_MS);
    console.log(`${tellMs(block)} without a pause: reading a spec with ${name}`);
    expect(block).toBeLessThan(MOST_MS);
  },
);

needs(
  'root',
  'busybox',
  'crun',
  'rsync',
  'btrfs',
  'umoci',
)('ten builds at once', () => {
  it('let the process have a turn twenty times a second', { timeout: 600_000 }, async () => {
    await using bench = await openBench();
    const context = join(bench.directory, 'large');
    await largeContext(context);
    const read = (text: string): BuildRequest => ({
      spec: expectOk(parseSpec(text)),
      context: toHostPath(context),
      onEvent: () => {},
    });
    // What would run for hours is planned only.
    const [planned, built] = [Object.values(LONGEST).map(read), BUILT.map(read)];
    const useAll = (builder: Builder) =>
      Promise.all([
        ...planned.map(async (request) => void expectOk(await builder.plan(request))),
        ...built.map(async (request) => expectOk(await builder.build(request))[Symbol.asyncDispose]()),
      ]);
    let count = 0;
    const block = await longestBlock(async () => {
      count += 1;
      const world = new World();
      await world.open(bench.place('rsync', { store: join(bench.directory, `${count}`) }));
      try {
        await useAll(world.builder as Builder);
      } finally {
        await world.close();
      }
    }, MOST_MS);
    console.log(`${tellMs(block)} without a pause: ten builds at once`);
    expect(block).toBeLessThan(MOST_MS);
  });
});

async function largeContext(path: string): Promise<void> {
  for (let i = 0; i < 10; i += 1) {
    const directory = join(path, 'many', `${i}`);
    await mkdir(directory, { recursive: true });
    for (let k = 0; k < 500; k += 1) await writeFile(join(directory, `${k}`), `${i} ${k}\n`);
  }
  await writeFile(join(path, 'large'), '');
  await truncate(join(path, 'large'), 200 * MIB);
}

function numbered(count: number, text: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => text(i)).join(' ');
}

function tellMs(milliseconds: number): string {
  return `${milliseconds.toFixed(1).padStart(6)} ms`;
}
