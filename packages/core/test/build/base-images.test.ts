import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import {
  type BaseImageRequest,
  type BaseImages,
  type LogSink,
  openBuilder,
  toHostPath,
} from '../../src/index.ts';
import { memoryStore, scriptedFetcher, scriptedSandbox } from '../../src/testing/index.ts';
import { built, gate, openWorld, readResult, request, type World, writes } from './world.ts';

const SPEC = '((from mine) (run (shell use)))';
const quiet: LogSink = { write: async () => {} };

function imagesOf(world: World): BaseImages {
  if (world.builder.baseImages === undefined) throw new Error('the memory store holds base images');
  return world.builder.baseImages;
}

function making(more: Partial<BaseImageRequest> = {}): BaseImageRequest {
  return { name: 'mine', command: 'fill', output: quiet, ...more };
}

async function digests(world: World): Promise<readonly string[]> {
  return expectOk(await imagesOf(world).list()).map(({ digest }) => digest);
}

describe('a base image of the store', () => {
  it('is what its command left, and what a spec of its name starts from', async () => {
    await using world = await openWorld({ fill: writes('tool', 'one'), use: writes('used') });
    const image = expectOk(await imagesOf(world).make(making()));
    expect(image).toMatchObject({ name: 'mine', digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) });
    await using result = expectOk(await world.builder.build(request(SPEC)));
    expect(await readResult(result, 'tool')).toBe('one');
    expect(world.sandbox.ran).toEqual(['fill', 'use']);
  });

  it('is found before an image of that name that a fetcher has', async () => {
    await using world = await openWorld({ fill: writes('tool') });
    expectOk(await imagesOf(world).make(making({ name: 'base' })));
    await using result = expectOk(await world.builder.build(request('((from base))')));
    expect(await readResult(result, 'tool')).toBe('tool');
    await expect(readResult(result, 'origin')).rejects.toThrow('ENOENT');
  });

  it('gives other keys when it is made again, and leaves what was built from the old one readable (M1)', async () => {
    let round = 0;
    const fill = writes('tool', 'old');
    const refill = writes('tool', 'new');
    await using world = await openWorld({
      fill: (io) => {
        round += 1;
        return round === 1 ? fill(io) : refill(io);
      },
      use: writes('used'),
    });
    expectOk(await imagesOf(world).make(making()));
    const old = await built(world.builder, SPEC);
    expectOk(await imagesOf(world).make(making()));
    await using result = expectOk(await world.builder.build(request(SPEC)));
    expect(result.key).not.toBe(old);
    expect(await readResult(result, 'tool')).toBe('new');
    await using before = expectOk(await world.builder.open(old));
    expect(await readResult(before, 'tool')).toBe('old');
    expect(await digests(world)).toHaveLength(1);
  });

  it('is not made by a command that fails, and stays as it was', async () => {
    let exit = 0;
    await using world = await openWorld({
      fill: async (io) => {
        await writeFile(join(io.root, 'tool'), `exit ${exit}`);
        return exit;
      },
    });
    expectOk(await imagesOf(world).make(making()));
    const before = await digests(world);
    exit = 3;
    expect(expectErr(await imagesOf(world).make(making()))).toMatchObject({
      type: 'command-failed',
      exit: { type: 'exited', code: 3 },
      message: 'the command exited with 3',
    });
    expect(expectErr(await imagesOf(world).make(making({ name: 'other' })))).toMatchObject({
      type: 'command-failed',
    });
    expect(await digests(world)).toEqual(before);
    expect(world.store.mounted).toBe(0);
  });

  it('is not made when it is cancelled, and nothing of it is left', async () => {
    const slow = gate('filling');
    await using world = await openWorld({ fill: slow.command });
    const stop = new AbortController();
    const made = imagesOf(world).make(making({ signal: stop.signal }));
    await slow.started;
    stop.abort('enough');
    expect(expectErr(await made)).toMatchObject({ type: 'cancelled', reason: 'enough' });
    expect(await digests(world)).toEqual([]);
    expect(world.store.mounted).toBe(0);
  });

  it('is not begun when the signal has been aborted, also while it waits for its turn', async () => {
    const slow = gate('building');
    await using world = await openWorld({ use: slow.command, fill: writes('tool') }, { concurrency: 1 });
    const build = world.builder.build(request('((from base) (run (shell use)))'));
    await slow.started;
    const stop = new AbortController();
    const made = imagesOf(world).make(making({ signal: stop.signal }));
    stop.abort('no');
    expect(expectErr(await made)).toMatchObject({ type: 'cancelled', reason: 'no' });
    slow.open();
    await using _built = expectOk(await build);
    expect(world.sandbox.ran).toEqual(['use']);
  });

  it('is stopped by closing the builder', async () => {
    const slow = gate('filling');
    const world = await openWorld({ fill: slow.command });
    const made = imagesOf(world).make(making());
    await slow.started;
    await world.builder[Symbol.asyncDispose]();
    expect(expectErr(await made)).toMatchObject({ type: 'cancelled' });
    await world[Symbol.asyncDispose]();
  });

  it('starts from an image of the fetcher where one is named', async () => {
    await using world = await openWorld({ fill: writes('tool') });
    expectOk(await imagesOf(world).make(making({ from: 'base' })));
    await using result = expectOk(await world.builder.build(request('((from mine))')));
    expect([await readResult(result, 'origin'), await readResult(result, 'tool')]).toEqual(['base', 'tool']);
    expect(expectErr(await imagesOf(world).make(making({ from: 'nowhere' })))).toMatchObject({
      type: 'fetch',
    });
  });

  it('is filled by the user that was asked for, whose fresh volumes are', async () => {
    const seen: unknown[] = [];
    await using world = await openWorld({
      fill: async ({ root, request: { user, cwd, env, network, argv } }) => {
        const { uid, gid } = await stat(root);
        seen.push({ owner: { uid, gid }, user, cwd, env, network, argv });
      },
    });
    const wanted =
      process.getuid?.() === 0
        ? { uid: 1234, gid: 567 }
        : { uid: process.getuid?.(), gid: process.getgid?.() };
    const user = { uid: 1234, gid: 567 };
    expectOk(await imagesOf(world).make(making({ user, env: { OCAML: '5' }, shell: ['/bin/zsh', '-c'] })));
    expect(seen).toEqual([
      {
        owner: wanted,
        user: wanted,
        cwd: '/',
        env: { PATH: '/bin:/usr/bin', HOME: '/', OCAML: '5' },
        network: 'host',
        argv: ['/bin/zsh', '-c', 'fill'],
      },
    ]);
    expect(expectErr(await imagesOf(world).make(making({ user: { name: 'nobody' } })))).toEqual({
      type: 'unknown-user',
      message: 'the scripted sandbox knows no user "nobody"',
    });
  });

  it('tells what the command prints while it prints it', async () => {
    const slow = gate('halfway');
    await using world = await openWorld({ fill: slow.command });
    const heard = Promise.withResolvers<string>();
    const output: LogSink = { write: async (chunk) => heard.resolve(`${chunk}`) };
    const made = imagesOf(world).make(making({ output }));
    expect(await heard.promise).toBe('halfway');
    slow.open();
    expectOk(await made);
  });

  it('goes to another store with the digest that it has, and so with the same keys', async () => {
    await using here = await openWorld({ fill: writes('tool'), use: writes('used') });
    await using there = await openWorld({ use: writes('used') });
    const image = expectOk(await imagesOf(here).make(making()));
    const body = expectOk(await imagesOf(here).send('mine'));
    expect(expectOk(await imagesOf(there).receive('mine', body))).toEqual(image);
    expect(await built(there.builder, SPEC)).toBe(await built(here.builder, SPEC));
  });

  it('is removed when no step needs it any more', async () => {
    await using world = await openWorld({ fill: writes('tool'), use: writes('used') });
    expectOk(await imagesOf(world).make(making()));
    await built(world.builder, SPEC);
    expect(expectErr(await imagesOf(world).remove('mine'))).toMatchObject({ type: 'busy' });
    expectOk(await world.builder.prune({}));
    expectOk(await imagesOf(world).remove('mine'));
    expectOk(await imagesOf(world).remove('mine'));
    expect(await digests(world)).toEqual([]);
  });

  it('is not looked for in a store that holds none', async () => {
    await using dir = await tempDir();
    await using store = await memoryStore({ without: ['baseImages'] });
    const fetcher = scriptedFetcher({ base: { files: { origin: 'fetched' } } });
    const stateDir = toHostPath(join(dir.path, 'state'));
    await using builder = expectOk(
      await openBuilder({ store, sandbox: scriptedSandbox({}), fetcher, stateDir }),
    );
    expect(builder.baseImages).toBeUndefined();
    await using result = expectOk(await builder.build(request('((from base))')));
    expect(await readResult(result, 'origin')).toBe('fetched');
  });
});
