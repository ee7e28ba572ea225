import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type BuildEvent, type Builder, openBuilder, parseSpec, toHostPath } from '@snapstep/core';
import { memoryStore, scriptedSandbox } from '@snapstep/core/testing';
import { expectErr, expectOk, needs, type Registry, startRegistry, tempDir } from '@snapstep/test-support';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openOciFetcher } from '../src/index.ts';
import { sha256 } from '../src/manifest.ts';
import { AnyName, image, openBench, quiet } from './fixtures.ts';
import { type Blob, HELLO, makeLayout } from './make-image.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

needs(
  'root',
  'skopeo',
  'umoci',
  'docker-registry',
)('a private image that was built with', () => {
  let owner: Registry;
  let other: Registry;
  let thief: Thief;
  let secret: Blob;
  let manifest: string;
  let count = 0;
  let place: string;
  beforeAll(async () => {
    [owner, other, thief] = await Promise.all([
      startRegistry({ account: { user: 'joe', password: 's3cr3t-word' } }),
      startRegistry(),
      startThief(),
    ]);
    await using dir = await tempDir();
    const layout = join(dir.path, 'l');
    secret = (await makeLayout(layout, { v1: HELLO })).v1 as Blob;
    manifest = await readFile(join(layout, 'blobs', secret.digest.replace(':', '/')), 'utf8');
    await owner.push(`oci:${layout}:v1`, 'private:1');
    await other.push(`oci:${layout}:v1`, 'has-it:1');
  });
  beforeEach(() => {
    place = `x${count++}`;
    thief.serve({});
  });
  afterAll(async () => {
    for (const each of [owner, other, thief]) await each?.[Symbol.asyncDispose]();
  });

  const access = () => ({
    authFile: toHostPath(owner.authFile),
    insecureRegistries: [owner.host, other.host, thief.host],
  });
  const stolen = (fields: object = {}): string =>
    JSON.stringify({
      ...{ schemaVersion: 2, mediaType: INDEX },
      manifests: [{ ...secret, platform: { os: 'linux', architecture: 'amd64' }, ...fields }],
    });

  test('is not given to who names its digest in a registry that does not have it', async () => {
    await using world = await openWorld(access());
    expectOk(await world.build(`${owner.host}/private:1`));
    for (const name of [`${other.host}/${place}`, `${other.host}/private`, `${thief.host}/x`]) {
      const { result, events } = await world.tryBuild(`${name}@${secret.digest}`);
      expect(expectErr(result)).toMatchObject({ type: 'fetch', error: { type: 'image-not-found' } });
      expect(events.filter(({ type }) => type.startsWith('step'))).toEqual([]);
    }
  });

  test.each([{}, { mediaType: INDEX }, { mediaType: '' }])(
    'is not given to who names it in an index of his own, whatever he says it is: %j',
    async (fields) => {
      await using world = await openWorld(access());
      expectOk(await world.build(`${owner.host}/private:1`));
      const index = stolen(fields);
      thief.serve({ 1: index, [sha256(index)]: index });
      for (const version of [':1', `@${sha256(index)}`]) {
        const { result, events } = await world.tryBuild(`${thief.host}/x${version}`);
        expect(expectErr(result)).toMatchObject({
          ...{ type: 'fetch', error: { type: 'image-not-found' } },
          message: expect.stringContaining(
            `${thief.host}/x@${secret.digest}: ${thief.host} has no such image`,
          ),
        });
        expect(events.filter(({ type }) => type.startsWith('step'))).toEqual([]);
        expect(thief.takeRequests()).toContain(`/v2/x/manifests/${secret.digest}`);
      }
    },
  );

  test('is given, as it is saved, to who names a registry that has it', async () => {
    await using world = await openWorld(access());
    const key = expectOk(await world.build(`${owner.host}/private:1`));
    const index = stolen();
    thief.serve({ 1: index, [secret.digest]: manifest });
    for (const name of [`${other.host}/has-it@${secret.digest}`, `${thief.host}/x:1`]) {
      const { result, events } = await world.tryBuild(name);
      expect(expectOk(result)).toBe(key);
      expect(events.flatMap((event) => (event.type === 'step-done' ? [event.source] : []))).toEqual([
        'cache',
      ]);
    }
    expect(thief.takeRequests().filter((path) => path.includes('/blobs/'))).toEqual([]);
  });

  test('is refused offline under a name that was never seen to have it', async () => {
    await using world = await openWorld(access());
    expectOk(await world.build(`${owner.host}/private@${secret.digest}`));
    const offline = (name: string) => world.tryBuild(`${name}@${secret.digest}`, { pull: 'never' });
    expect(expectErr((await offline(`${other.host}/has-it`)).result)).toMatchObject({
      error: { type: 'not-held' },
    });
    expectOk((await offline(`${owner.host}/private`)).result);
    expectOk(await world.build(`${other.host}/has-it@${secret.digest}`));
    expectOk((await offline(`${other.host}/has-it`)).result);
  });

  test('is not given by what was remembered of an index while it was believed', async () => {
    await using bench = await openBench(access());
    const index = stolen();
    thief.serve({ 1: index, [secret.digest]: manifest });
    const name = image(`${thief.host}/x:1`);
    const pinned = expectOk(await bench.fetcher.pin(name, quiet()));
    expect(expectOk(await bench.fetcher.pin(name, quiet(), { pull: 'never' }))).toEqual(pinned);
    const pins = join(bench.dir, 'state/pins');
    const [file = ''] = await readdir(pins);
    const { reference, digest, root } = JSON.parse(await readFile(join(pins, file), 'utf8'));
    const check = sha256([reference, digest, root].join('\n'));
    await writeFile(join(pins, file), JSON.stringify({ reference, digest, root, check }));
    expect(expectErr(await bench.fetcher.pin(name, quiet(), { pull: 'never' })).type).toBe('not-held');
    thief.serve({ 1: index });
    expect(expectErr(await bench.fetcher.pin(name, quiet())).type).toBe('image-not-found');
  });

  test('of several platforms is asked for no second time when only the index is new', async () => {
    await using bench = await openBench(access());
    thief.serve({ 1: stolen(), [secret.digest]: manifest });
    const name = image(`${thief.host}/x:1`);
    const pinned = expectOk(await bench.fetcher.pin(name, quiet()));
    thief.takeRequests();
    thief.serve({ 1: stolen({ annotations: { new: 'yes' } }), [secret.digest]: manifest });
    expect(expectOk(await bench.fetcher.pin(name, quiet()))).toEqual(pinned);
    expect(thief.takeRequests()).not.toContain(`/v2/x/manifests/${secret.digest}`);
  });
});

/** A registry that gives these manifests, by tag or digest, and says whatever else is asked of it. */
interface Thief extends AsyncDisposable {
  readonly host: string;
  serve(manifests: Readonly<Record<string, string>>): void;
  takeRequests(): string[];
}

async function startThief(): Promise<Thief> {
  let manifests: Readonly<Record<string, string>> = {};
  let requests: string[] = [];
  const server: Server = createServer(({ url = '', method }, response) => {
    requests.push(url);
    const version = /^\/v2\/x\/manifests\/(.+)$/.exec(url)?.[1];
    const text = version === undefined ? undefined : manifests[version];
    // Whoever lies about a head has said nothing that could be checked.
    if (method === 'HEAD' && version !== undefined) {
      const digest = version.startsWith('sha256:') ? version : sha256(text ?? '');
      response.writeHead(200, { 'docker-content-digest': digest, 'content-type': MANIFEST }).end();
    } else if (url === '/v2/') response.end('{}');
    else if (text === undefined) response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}');
    else response.writeHead(200, { 'content-type': text === manifests[1] ? INDEX : MANIFEST }).end(text);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    serve: (next) => {
      manifests = next;
    },
    takeRequests: () => {
      const taken = requests;
      requests = [];
      return taken;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Tried = { result: Awaited<ReturnType<typeof buildKey>>; events: BuildEvent[] };

async function openWorld(options: {
  authFile: ReturnType<typeof toHostPath>;
  insecureRegistries: readonly string[];
}) {
  const dir = await tempDir();
  const stateDir = toHostPath(join(dir.path, 'fetcher'));
  const fetcher = expectOk(await openOciFetcher({ stateDir, images: new AnyName(), ...options }));
  const store = await memoryStore();
  const builder = expectOk(
    await openBuilder({
      store,
      sandbox: scriptedSandbox({}),
      fetcher,
      stateDir: toHostPath(join(dir.path, 'state')),
    }),
  );
  const tryBuild = async (name: string, how: { readonly pull?: 'never' } = {}): Promise<Tried> => {
    const events: BuildEvent[] = [];
    return { result: await buildKey(builder, { name, events, how }), events };
  };
  return {
    tryBuild,
    build: async (name: string) => (await tryBuild(name)).result,
    [Symbol.asyncDispose]: async () => {
      for (const each of [builder, fetcher, store, dir]) await each[Symbol.asyncDispose]();
    },
  };
}

async function buildKey(
  builder: Builder,
  { name, events, how }: { name: string; events: BuildEvent[]; how: { readonly pull?: 'never' } },
) {
  const spec = expectOk(parseSpec(`((from "${name}"))`));
  const built = await builder.build({ spec, ...how, onEvent: (event) => void events.push(event) });
  if (built.isOk()) await built.value[Symbol.asyncDispose]();
  return built.map(({ key }) => key);
}
