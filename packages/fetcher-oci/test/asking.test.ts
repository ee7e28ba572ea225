import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PinOptions, type PullPolicy, toHostPath } from '@snapstep/core/backend';
import {
  authJson,
  type Behaviour,
  type CountingProxy,
  collectLog,
  expectErr,
  expectOk,
  needs,
  type Registry,
  startProxy,
  startRegistry,
} from '@snapstep/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OciFetcherOptions } from '../src/index.ts';
import { type Bench, directoryVolumes, image, openBench, quiet, withoutPrograms } from './fixtures.ts';
import { HELLO, makeLayout } from './make-image.ts';

const LOGIN = { user: 'joe', password: 'pass' };

needs(
  'root',
  'skopeo',
  'umoci',
  'docker-registry',
)('a registry, when an image was pinned before', () => {
  let [registry, proxy]: [Registry, CountingProxy] = [undefined as never, undefined as never];
  let name: ReturnType<typeof image>;
  beforeAll(async () => {
    registry = await startRegistry();
    proxy = await startProxy(registry.host);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  const open = (options: Partial<OciFetcherOptions> = {}): Promise<Bench> =>
    openBench({ insecureRegistries: [proxy.host], ...options });
  let count = 0;
  /** An image of its own, which was pinned. */
  const pinned = async (bench: Bench, spec: Parameters<typeof makeLayout>[1][string] = HELLO) => {
    count += 1;
    const repository = `x${count}`;
    await makeLayout(join(bench.dir, 'l'), { v1: spec, v2: { layers: [[{ path: 'other' }]] } });
    await registry.push(`oci:${bench.dir}/l:v1`, `${repository}:1`, ['--all', '--preserve-digests']);
    name = image(`${proxy.host}/${repository}:1`);
    const first = expectOk(await bench.fetcher.pin(name, quiet()));
    proxy.takeRequests();
    const move = () => registry.push(`oci:${bench.dir}/l:v2`, `${repository}:1`);
    return { first, repository, move, manifest: `/v2/${repository}/manifests` };
  };
  const pin = async (bench: Bench, options: PinOptions = {}) => {
    const notes: string[] = [];
    const note = (text: string) => void notes.push(text);
    const result = await bench.fetcher.pin(name, quiet(), { note, ...options });
    return { result, notes };
  };

  test.each(['auto', 'always'] as const)(
    'is asked for the head of the manifest alone, with %s',
    async (pull) => {
      await using bench = await open();
      const { first, manifest } = await pinned(bench);
      const { result, notes } = await withoutPrograms(() => pin(bench, { pull }));
      expect(expectOk(result)).toEqual(first);
      expect(proxy.takeRequests()).toEqual([`HEAD ${manifest}/1`]);
      expect(notes).toEqual([]);
    },
  );

  test('is asked for the head of an index alone, and not for the platform again', async () => {
    await using bench = await open();
    const make = (platform: string) => ({ ...HELLO, platform });
    const { first, manifest } = await pinned(bench, ['linux/arm64', 'linux/amd64'].map(make));
    expect(expectOk((await pin(bench)).result)).toEqual(first);
    expect(proxy.takeRequests()).toEqual([`HEAD ${manifest}/1`]);
  });

  test('is asked for the manifest where the tag was moved', async () => {
    await using bench = await open();
    const { first, move, manifest } = await pinned(bench);
    await move();
    const { result } = await pin(bench);
    expect(expectOk(result).digest).not.toBe(first.digest);
    expect(proxy.takeRequests()).toEqual([`HEAD ${manifest}/1`, 'GET /v2/', `GET ${manifest}/1`]);
    proxy.takeRequests();
    expect(expectOk((await pin(bench)).result)).toEqual(expectOk(result));
    expect(proxy.takeRequests()).toEqual([`HEAD ${manifest}/1`]);
  });

  const silences: readonly (readonly [Behaviour, RegExp])[] = [
    ['refuse', /socket hang up|ECONNRESET/],
    ['hang', /did not answer in time/],
    ['babble', /./],
    ['nonsense', /neither an image nor an index/],
    ['redirect', /./],
    [500, /500/],
    [503, /503/],
    [429, /limits how often/],
  ];
  test.each(silences)(
    'that does this gives no answer, and the last digest is used: %s',
    async (how, why) => {
      await using bench = await open(how === 'hang' ? { answerMilliseconds: 1000 } : {});
      const { first } = await pinned(bench);
      await using _bad = proxy.behave(how);
      const { result, notes } = await pin(bench);
      expect(expectOk(result)).toEqual(first);
      expect(notes).toEqual([expect.stringMatching(why)]);
      expect(notes[0]).toMatch(`"${name.name}": ${proxy.host} gives no answer (`);
      expect(notes[0]).toMatch(/; using sha256:[0-9a-f]{64}, which it was at \d{4}-\d\d-\d\dT[\d:.]+Z$/);
    },
    60_000,
  );

  test('that no longer has the tag, or refuses to show it, has answered: the last digest is not used', async () => {
    await using bench = await open();
    const { repository } = await pinned(bench);
    {
      await using _refuses = proxy.behave(401);
      const { result, notes } = await pin(bench);
      expect({ type: expectErr(result).type, notes }).toEqual({ type: 'failed', notes: [] });
    }
    const tags = 'docker/registry/v2/repositories';
    await rm(join(registry.storage, tags, repository, '_manifests/tags'), { recursive: true });
    const { result, notes } = await pin(bench);
    expect({ type: expectErr(result).type, notes }).toEqual({ type: 'image-not-found', notes: [] });
  });

  test('that is gone is no obstacle to a build in another process, nor is the next image of it', async () => {
    await using bench = await open();
    const { first } = await pinned(bench);
    await bench.fetcher[Symbol.asyncDispose]();
    const stateDir = toHostPath(join(bench.dir, 'state'));
    await using second = await open({ stateDir, tagTtlMilliseconds: 60_000 });
    await using _gone = proxy.behave(503);
    expect(expectOk((await pin(second)).result)).toEqual(first);
    expect(proxy.takeRequests()).toHaveLength(1);
    const { result, notes } = await pin(second);
    expect(expectOk(result)).toEqual(first);
    expect(notes).toEqual([expect.stringContaining('it answers with 503')]);
    expect(proxy.takeRequests()).toEqual([]);
  });

  test('is asked nothing with `never`, by who pins and by who unpacks', async () => {
    await using bench = await open();
    const { first, move } = await pinned(bench);
    await move();
    expect(expectOk((await pin(bench, { pull: 'never' })).result)).toEqual(first);
    const io = { log: collectLog(), signal: quiet(), pull: 'never' } as const;
    const unpacked = await bench.fetcher.unpack(first, directoryVolumes(bench.rootfs), io);
    expect(expectErr(unpacked)).toMatchObject({ type: 'not-held', image: name });
    name = { ...name, platform: 'linux/arm64' };
    expect(expectErr((await pin(bench, { pull: 'never' })).result)).toMatchObject({
      ...{ type: 'not-held', image: name },
      message: expect.stringMatching(
        /x\d+:1 linux\/arm64 was never pinned here, and no registry may be asked$/,
      ),
    });
    expect(proxy.takeRequests()).toEqual([]);
    expect(await readdir(bench.rootfs)).toEqual([]);
  });

  test.each(['refuse', 'hang'] as const)('fails a build that asks with `always`: %s', async (how) => {
    await using bench = await open(how === 'hang' ? { answerMilliseconds: 400 } : {});
    await pinned(bench);
    await using _bad = proxy.behave(how);
    const { result, notes } = await pin(bench, { pull: 'always' });
    const message = how === 'hang' ? 'no answer within 9.6 s' : 'cannot reach the registry';
    expect(expectErr(result)).toMatchObject({ type: 'failed', message: expect.stringContaining(message) });
    expect(notes).toEqual([]);
  });

  test('is asked with `always`, also about what it has said a moment ago', async () => {
    await using bench = await open({ tagTtlMilliseconds: 60_000 });
    const { first, move } = await pinned(bench);
    expect(expectOk((await pin(bench)).result)).toEqual(first);
    expect(proxy.takeRequests()).toEqual([]);
    await move();
    const moved = expectOk((await pin(bench, { pull: 'always' })).result);
    expect(moved.digest).not.toBe(first.digest);
    expect(expectOk((await pin(bench)).result)).toEqual(moved);
  });

  test('is asked at the same time by builds with different policies, each of which gets its own', async () => {
    await using bench = await open();
    const { first, move } = await pinned(bench);
    await move();
    const policies: readonly PullPolicy[] = ['never', 'always', 'auto', 'never', 'always', 'auto'];
    const results = await Promise.all(policies.map((pull) => pin(bench, { pull })));
    const digests = results.map(({ result }) => expectOk(result).digest);
    for (const at of [1, 2, 4, 5]) expect(digests[at]).not.toBe(first.digest);
    expect(digests[0]).toBe(first.digest);
  });

  test('is left at once where the build is cancelled while it does not answer', async () => {
    await using bench = await open({ answerMilliseconds: 600_000 });
    await pinned(bench);
    await using _hangs = proxy.behave('hang');
    const controller = new AbortController();
    const asked = proxy.asked;
    const pinning = bench.fetcher.pin(name, controller.signal);
    await asked;
    controller.abort('enough');
    expect(expectErr(await pinning)).toMatchObject({ type: 'cancelled', reason: 'enough' });
  });

  test('that no longer has what was pinned is asked what the name means, the next time', async () => {
    await using bench = await open();
    const { first, repository } = await pinned(bench);
    await rm(join(registry.storage, 'docker/registry/v2/repositories', repository), { recursive: true });
    const io = { log: collectLog(), signal: quiet() };
    const unpacked = await bench.fetcher.unpack(first, directoryVolumes(bench.rootfs), io);
    expect(expectErr(unpacked)).toMatchObject({ type: 'image-not-found' });
    expect(expectErr((await pin(bench, { pull: 'never' })).result)).toMatchObject({ type: 'not-held' });
  });

  test('is asked anew where the file of a pin is damaged in any way', async () => {
    await using bench = await open();
    const { first } = await pinned(bench);
    const pins = join(bench.dir, 'state/pins');
    const [file = ''] = await readdir(pins);
    const text = `{"digest":"sha256:${'0'.repeat(64)}","root":"sha256:${'0'.repeat(64)}","check":"sha256:0"}`;
    for (const content of ['', '{"digest":', '\0'.repeat(300), text, '[]', 'null', undefined]) {
      await rm(join(pins, file), { recursive: true, force: true });
      await (content === undefined ? mkdir(join(pins, file)) : writeFile(join(pins, file), content));
      expect(expectErr((await pin(bench, { pull: 'never' })).result).type).toBe('not-held');
      expect(expectOk((await pin(bench)).result)).toEqual(first);
      expect(expectOk((await pin(bench, { pull: 'never' })).result)).toEqual(first);
    }
  });

  test('that wants a token is asked for one, with the password', async () => {
    await using guarded = await startProxy(registry.host, { login: `${LOGIN.user}:${LOGIN.password}` });
    await using bench = await open();
    const authFile = toHostPath(join(bench.dir, 'auth.json'));
    await writeFile(authFile, authJson({ host: guarded.host, ...LOGIN }));
    await using second = await open({ authFile, insecureRegistries: [guarded.host] });
    const { repository } = await pinned(bench);
    name = image(`${guarded.host}/${repository}:1`);
    const first = expectOk((await pin(second)).result);
    guarded.takeRequests();
    const { result } = await withoutPrograms(() => pin(second));
    expect(expectOk(result)).toEqual(first);
    const token = 'GET /token?service=registry&scope=repository%3Ax%3Apull';
    const head = `HEAD /v2/${repository}/manifests/1`;
    expect(guarded.takeRequests()).toEqual([head, token, head]);
  });
});
