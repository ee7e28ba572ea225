import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import {
  authJson,
  collectLog,
  expectErr,
  expectOk,
  needs,
  type Registry,
  startRegistry,
} from '@snapstep/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { image, openBench, quiet, withoutPrograms } from './fixtures.ts';
import { HELLO, makeLayout } from './make-image.ts';

needs(
  'root',
  'skopeo',
  'umoci',
  'docker-registry',
)('a registry with TLS and a password', () => {
  const account = { user: 'joe', password: 's3cr3t-word' };
  let registry: Registry;
  beforeAll(async () => {
    registry = await startRegistry({ tls: true, account });
    await using bench = await openBench();
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'hello:1');
  });
  afterAll(async () => registry[Symbol.asyncDispose]());

  const certDir = () => toHostPath(registry.certDir);
  const authFile = () => toHostPath(registry.authFile);

  test('gives an image when it is shown the credentials and its authority is known', async () => {
    await using bench = await openBench({ certDir: certDir(), authFile: authFile() });
    const log = collectLog();
    expectOk(await bench.fetch(`${registry.host}/hello:1`, { log }));
    expect(await readdir(bench.rootfs)).toEqual(['hello', 'world']);
    expect(log.text()).not.toContain(account.password);
  });

  test('says over TLS, to who knows the password, that a tag is unchanged: skopeo is not needed', async () => {
    await using bench = await openBench({ certDir: certDir(), authFile: authFile() });
    const name = image(`${registry.host}/hello:1`);
    const first = expectOk(await bench.fetcher.pin(name, quiet()));
    const pinned = await withoutPrograms(async () => bench.fetcher.pin(name, quiet(), { pull: 'always' }));
    expect(expectOk(pinned)).toEqual(first);
  });

  test('that no longer takes the password fails, although it was known what the name meant', async () => {
    await using bench = await openBench({ certDir: certDir(), authFile: authFile() });
    const name = image(`${registry.host}/hello:1`);
    expectOk(await bench.fetcher.pin(name, quiet()));
    const wrong = toHostPath(join(bench.dir, 'wrong.json'));
    await writeFile(wrong, authJson({ host: registry.host, user: 'joe', password: 'old-word' }));
    const stateDir = toHostPath(join(bench.dir, 'state'));
    await using second = await openBench({ certDir: certDir(), authFile: wrong, stateDir });
    expect(expectErr(await second.fetcher.pin(name, quiet()))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('wants other credentials'),
    });
  });

  test('whose certificate is no longer trusted gives no answer: the last digest is used', async () => {
    await using bench = await openBench({ certDir: certDir(), authFile: authFile() });
    const name = image(`${registry.host}/hello:1`);
    const first = expectOk(await bench.fetcher.pin(name, quiet()));
    const stateDir = toHostPath(join(bench.dir, 'state'));
    await using second = await openBench({ authFile: authFile(), stateDir });
    const notes: string[] = [];
    const note = (text: string) => void notes.push(text);
    expect(expectOk(await second.fetcher.pin(name, quiet(), { note }))).toEqual(first);
    expect(notes).toEqual([expect.stringContaining('its certificate is not trusted')]);
  });

  test('finds the credentials where REGISTRY_AUTH_FILE says', async () => {
    await using bench = await openBench({ certDir: certDir() });
    process.env.REGISTRY_AUTH_FILE = registry.authFile;
    try {
      expectOk(await bench.fetch(`${registry.host}/hello:1`));
    } finally {
      delete process.env.REGISTRY_AUTH_FILE;
    }
  });

  test('with an unknown authority is refused, with the place for its certificate', async () => {
    await using bench = await openBench({ authFile: authFile() });
    expect(expectErr(await bench.fetch(`${registry.host}/hello:1`))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining(`into /etc/containers/certs.d/${registry.host} as a .crt file`),
    });
  });

  test('refuses a wrong password, and the failure names the file with it', async () => {
    await using bench = await openBench();
    const wrong = toHostPath(join(bench.dir, 'wrong.json'));
    await writeFile(wrong, authJson({ host: registry.host, user: 'joe', password: 'wrong-word' }));
    await using second = await openBench({ certDir: certDir(), authFile: wrong });
    const error = expectErr(await second.fetch(`${registry.host}/hello:1`));
    expect(error).toMatchObject({
      type: 'failed',
      message: expect.stringContaining(`wants other credentials than those in ${wrong}`),
    });
    expect(JSON.stringify(error)).not.toContain('wrong-word');
  });

  test('never sees a password that was put into a reference, and neither does the failure (C18)', async () => {
    await using bench = await openBench({ certDir: certDir() });
    for (const prefix of ['', 'docker://']) {
      const error = expectErr(await bench.fetch(`${prefix}joe:s3cr3t-word@${registry.host}/hello:1`));
      expect(error).toMatchObject({
        type: 'image-not-found',
        message: expect.stringContaining('belong in an auth file'),
      });
      expect(JSON.stringify(error)).not.toContain('s3cr3t-word');
    }
  });
});
