import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  checkSpec,
  openBuilder,
  parseSpec,
  printSpec,
  type Spec,
  toDockerfile,
  toHostPath,
} from '@snapstep/core';
import { memoryStore, scriptedFetcher, scriptedSandbox } from '@snapstep/core/testing';
import { checkReference } from '@snapstep/fetcher-oci';
import { expectOk, tempDir } from '@snapstep/test-support';
import { afterAll, describe, expect, it } from 'vitest';
import { type Growth, growthOf, isLinear, tell } from './measure.ts';
import { IGNORE_LINES, REFERENCES, SPECS } from './shapes.ts';

const NO_LIMITS = { bytes: 1e9, texts: 1e9, ops: 1e9, stages: 1e9, environmentBytes: 1e9 };
const rows: string[] = [];

afterAll(() =>
  console.log(['work, in ms of the processor at 1, 2 and 4 times the size', ...rows].join('\n')),
);

function expectLinear(what: string, growth: Growth): void {
  rows.push(`${tell(growth)}  ${what}`);
  expect(growth, what).toSatisfy(isLinear);
}

const USES: readonly (readonly [string, (spec: Spec) => unknown])[] = [
  ['checked', (spec) => checkSpec(spec, NO_LIMITS)],
  ['printed', printSpec],
  ['written as a Dockerfile', (spec) => toDockerfile(spec, { buildkit: true })],
];

describe.each(Object.entries(SPECS))('a spec with %s', (name, shape) => {
  it('is read in a time that grows as its text', async () => {
    const run = (text: string) => parseSpec(text, NO_LIMITS);
    expectLinear(`read: ${name}`, await growthOf({ input: shape, run }, 1000));
  });

  if (parseSpec(shape(4000), NO_LIMITS).isErr()) return;

  it.each(USES)('is %s in a time that grows as its text', async (use, run) => {
    const input = (size: number) => expectOk(parseSpec(shape(size), NO_LIMITS));
    expectLinear(`${use}: ${name}`, await growthOf({ input, run }, 1000));
  });

  it('is planned in a time that grows as its text', async () => {
    await using world = await Planner.open();
    const input = (size: number) => expectOk(parseSpec(shape(size), NO_LIMITS));
    expectLinear(`planned: ${name}`, await growthOf({ input, run: (spec) => world.plan(spec) }, 200));
  });
});

it.each(Object.entries(REFERENCES))(
  'a reference with %s is read in a time that grows as its text',
  async (name, shape) => {
    expectLinear(`reference: ${name}`, await growthOf({ input: shape, run: checkReference }, 2000));
  },
);

it.each(Object.entries(IGNORE_LINES))(
  'an ignore file with %s is read in a time that grows as its text',
  async (name, shape) => {
    await using world = await Planner.open();
    const spec = expectOk(parseSpec('((from a) (copy (src .) (dst /d)))'));
    for (const file of ['.gitignore', '.dockerignore'] as const) {
      const run = async (text: string) => {
        await writeFile(join(world.context, file), text);
        await world.plan(spec, [file]);
      };
      expectLinear(`${file}: ${name}`, await growthOf({ input: shape, run }, 2000));
      await rm(join(world.context, file));
    }
  },
);

/** Plans specs, each with a builder that knows nothing yet. */
class Planner implements AsyncDisposable {
  readonly #dir: Awaited<ReturnType<typeof tempDir>>;
  readonly context: string;

  private constructor(dir: Awaited<ReturnType<typeof tempDir>>) {
    this.#dir = dir;
    this.context = join(dir.path, 'context');
  }

  static async open(): Promise<Planner> {
    const planner = new Planner(await tempDir());
    await mkdir(planner.context);
    for (const file of ['a', 'x']) await writeFile(join(planner.context, file), '');
    return planner;
  }

  async plan(spec: Spec, ignoreFiles: readonly ('.gitignore' | '.dockerignore')[] = []): Promise<void> {
    await using store = await memoryStore();
    const stateDir = join(this.#dir.path, 'state');
    await using builder = expectOk(
      await openBuilder({
        store,
        sandbox: scriptedSandbox({}),
        fetcher: scriptedFetcher({ a: { files: {} } }),
        stateDir: toHostPath(stateDir),
        specLimits: NO_LIMITS,
      }),
    );
    await builder.plan({ spec, context: toHostPath(this.context), ignoreFiles });
    await rm(stateDir, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dir[Symbol.asyncDispose]();
  }
}
