import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type BuildRequest, type SecretValue, type StepKey, toHostPath } from '../../src/index.ts';
import { built, openWorld, request, type World, writes, writeTree } from './world.ts';

/** What a step is known by, see `KeyedInputs`: all that may change what it leaves behind, and nothing else. */
describe('the inputs of a step', () => {
  it('are, for a base image, its digest, its platform and the volumes that it fills', async () => {
    await using world = await openWorld({});
    const key = await built(world.builder, '((from base))');
    expect(await inputsOf(world, key)).toEqual({
      op: 'base',
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      platform: expect.stringMatching(/^linux\//),
      layout: ['rootfs'],
    });
  });

  it('are, for a command, all that the spec says of it', async () => {
    await using world = await openWorld({ go: writes('went') });
    const parent = await built(world.builder, '((from base))');
    const secrets = new Map<string, SecretValue>([
      ['plain', Buffer.from('value')],
      ['versioned', { value: Buffer.from('value'), version: '3' }],
    ]);
    const spec = `((from base) (env A 1) (workdir work) (user (uid 1) (gid 2)) (shell /bin/zsh -c)
      (run (network host) (cache (c (target /cache))) (secrets (plain (target p)) (versioned (target v))) (shell go)))`;
    const key = await built(world.builder, spec, { secrets });
    expect(await inputsOf(world, key)).toEqual({
      op: 'run',
      parent,
      argv: ['/bin/zsh', '-c', 'go'],
      cwd: 'work',
      env: { A: '1' },
      user: { uid: 1, gid: 2 },
      network: 'host',
      caches: [{ id: 'c', target: '/cache' }],
      secrets: [
        { id: 'plain', target: 'p' },
        { id: 'versioned', target: 'v', version: '3' },
      ],
    });
  });

  it('have nothing of what the image, the sandbox or this build says of a command', async () => {
    await using world = await openWorld({ go: writes('went') });
    world.images.base = { files: {}, env: { PATH: '/p' }, cwd: '/srv', user: { uid: 1, gid: 1 } };
    const parent = await built(world.builder, '((from base))');
    const key = await built(world.builder, '((from base) (run (shell go)))', {
      replayLogs: false,
      diskBytes: 10_000,
    });
    expect(await inputsOf(world, key)).toEqual({
      ...{ op: 'run', parent, argv: ['sh', '-c', 'go'], cwd: '', env: {}, network: 'none' },
      ...{ caches: [], secrets: [] },
    });
  });

  it('are, for a copy, the files, and where they go as whom', async () => {
    await using place = await openContext();
    const copy = async (ops: string): Promise<unknown> =>
      inputsOf(place.world, await place.built(`((from base) ${ops} (copy (src one) (dst to/)))`));
    const parent = await place.built('((from base))');
    const manifest = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(await copy('')).toEqual({ op: 'copy', parent, manifest, target: 'to/' });
    expect(await copy('(workdir /work) (user (uid 1) (gid 2))')).toEqual({
      ...{ op: 'copy', parent, manifest, target: '/work/to/', user: { uid: 1, gid: 2 } },
    });
  });

  it('are the same for a copy from a stage and from the context, if the files are', async () => {
    await using place = await openContext();
    const fromStage =
      '((build s ((from base) (run (shell one)))) (from base) (copy (from (build s)) (src one) (dst /x)))';
    expect(await place.built(fromStage)).toBe(await place.built('((from base) (copy (src one) (dst /x)))'));
  });

  it('tell two copies of one build apart, whatever of them differs', async () => {
    await using place = await openContext();
    const copies = ['(src one)', '(src two)', '(src dir)', '(src dir) (exclude left)'];
    const ops = copies.flatMap((from, i) => [`(copy ${from} (dst /a${i}))`, `(copy ${from} (dst /b${i}/))`]);
    const spec = `((from base) ${ops.join(' ')})`;
    await place.built(spec);
    const steps = expectOk(await place.world.builder.plan(request(spec, place.more)));
    const manifests = await Promise.all(steps.slice(1).map(async ({ key }) => manifestOf(place.world, key)));
    expect(new Set(manifests).size).toBe(ops.length);
    expect(await place.built(`((from base) ${ops[0]} ${ops[0]})`)).not.toBe(
      await place.built(`((from base) ${ops[0]})`),
    );
  });
});

describe('a plan', () => {
  it('names the steps of each stage that is used, with their keys, as far as they are known', async () => {
    await using place = await openContext();
    const spec = `((build unused ((from base) (run (shell two))))
      (build s ((from base) (run (shell one))))
      (from base) (copy (from (build s)) (src one) (dst /x)) (run (shell two)))`;
    const before = expectOk(await place.world.builder.plan(request(spec)));
    expect(before.map(({ stage, op, key, saved }) => [stage, op.op, key !== undefined, saved])).toEqual([
      ['s', 'base', true, false],
      ['s', 'run', true, false],
      ['main', 'base', true, false],
      ['main', 'copy', false, false],
      ['main', 'run', false, false],
    ]);
    const key = await place.built(spec);
    const after = expectOk(await place.world.builder.plan(request(spec)));
    expect(after.map(({ saved }) => saved)).toEqual(Array(5).fill(true));
    expect(after.at(-1)?.key).toBe(key);
  });
});

async function inputsOf(world: World, key: StepKey): Promise<unknown> {
  return expectOk(await world.builder.explain(key)).inputs;
}

async function manifestOf(world: World, key: StepKey | undefined): Promise<unknown> {
  if (key === undefined) throw new Error('the key of a copy from the context is known');
  return ((await inputsOf(world, key)) as { readonly manifest: string }).manifest;
}

async function openContext() {
  const world = await openWorld({ one: writes('one', 'first'), two: writes('two') });
  const context = toHostPath(join(world.dir, 'context'));
  await mkdir(context);
  await writeTree(context, { one: 'first', two: 'second', 'dir/left': 'l', 'dir/right': 'r' });
  const more: Omit<BuildRequest, 'spec'> = { context };
  return {
    world,
    more,
    built: (spec: string) => built(world.builder, spec, more),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}
