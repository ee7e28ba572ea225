import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import { collectLog, expectErr, expectOk, needs } from '@snapstep/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBench } from './fixtures.ts';
import { HELLO, makeLayout } from './make-image.ts';
import { authJson, type Registry, startRegistry } from './registry.ts';

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
        type: 'failed',
        message: expect.stringContaining('belong in an auth file'),
      });
      expect(JSON.stringify(error)).not.toContain('s3cr3t-word');
    }
  });
});
