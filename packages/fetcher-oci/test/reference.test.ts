import { resolve } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it, test } from 'vitest';
import { openOciFetcher } from '../src/index.ts';
import { choosePlatform } from '../src/platform.ts';
import { parseReference, registryUrl, withoutUserinfo } from '../src/reference.ts';
import { image, quiet } from './fixtures.ts';

const DIGEST = `sha256:${'0a'.repeat(32)}`;

describe('a reference', () => {
  test.each([
    ['debian', 'docker://docker.io/library/debian:latest'],
    ['debian:12', 'docker://docker.io/library/debian:12'],
    ['ocaml/opam:debian-12', 'docker://docker.io/ocaml/opam:debian-12'],
    ['docker.io/debian', 'docker://docker.io/library/debian:latest'],
    ['index.docker.io/a/b:c', 'docker://docker.io/a/b:c'],
    ['docker://debian:12', 'docker://docker.io/library/debian:12'],
    ['localhost/x', 'docker://localhost/x:latest'],
    ['localhost:5000/x', 'docker://localhost:5000/x:latest'],
    ['127.0.0.1:5000/a/b/c:1', 'docker://127.0.0.1:5000/a/b/c:1'],
    ['[::1]:5000/a', 'docker://[::1]:5000/a:latest'],
    ['ghcr.io/x/y__z.a-b:V1', 'docker://ghcr.io/x/y__z.a-b:V1'],
    [`debian@${DIGEST}`, `docker://docker.io/library/debian@${DIGEST}`],
    [`debian:12@${DIGEST}`, `docker://docker.io/library/debian@${DIGEST}`],
    ['docker:24', 'docker://docker.io/library/docker:24'],
    ['Host.example/x', 'docker://Host.example/x:latest'],
  ])('%s is the image %s of a registry', (text, url) => {
    const reference = expectOk(parseReference(text));
    if (reference.kind !== 'docker') throw new Error(`it is of the kind ${reference.kind}`);
    expect(registryUrl(reference)).toBe(url);
  });

  test.each([
    ['oci:/a/b', { kind: 'oci', path: '/a/b' }],
    ['oci:a:v1', { kind: 'oci', path: resolve('a'), tag: 'v1' }],
    ['oci:/a:x/y:v1', { kind: 'oci', path: '/a', tag: 'x/y:v1' }],
    ['oci-archive:/a.tar:v1', { kind: 'oci-archive', path: '/a.tar', tag: 'v1' }],
    ['docker-archive:/a.tar:debian:12', { kind: 'docker-archive', path: '/a.tar', tag: 'debian:12' }],
    ['rootfs:/a:b', { kind: 'rootfs', path: '/a:b' }],
    ['rootfs:./a/../b', { kind: 'rootfs', path: resolve('b') }],
  ])('%s is a place on this machine', (text, expected) => {
    expect(expectOk(parseReference(text))).toEqual(expected);
  });

  test.each([
    '',
    ' ',
    'Debian',
    'debian:',
    'debian:-x',
    'a b',
    '../x',
    '/x',
    'x/',
    'a//b',
    'https://a.b/c',
    'docker-daemon:x:y',
    'debian@sha256:12',
    'debian@sha512:00',
    'x:y:z',
    'oci:',
    'rootfs:',
    'oci:/a:',
    'dir:/a',
    'a\nb',
    '-x',
    '--flag',
    `${'a/'.repeat(130)}b`,
    'exa mple.com/x',
    'debian:12@',
    'docker://',
  ])('%j is refused with the accepted forms', (text) => {
    expect(expectErr(parseReference(text))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('is not an image reference'),
    });
    expect(expectErr(parseReference(text)).message).toContain('rootfs:PATH');
  });

  test.each([
    ['joe:pass@host/x', 'host/x'],
    ['docker://joe:pa/ss@host:5/x', 'docker://host:5/x'],
    ['docker://joe:pa@ss@host', 'docker://host'],
    [`joe:pass@host/x@${DIGEST}`, `host/x@${DIGEST}`],
    [`docker://host/x@${DIGEST}`, `docker://host/x@${DIGEST}`],
    ['debian:12', 'debian:12'],
  ])('%s is shown without its password (C18)', (text, shown) => {
    expect(withoutUserinfo(text)).toBe(shown);
    if (text.includes('pa')) expect(expectErr(parseReference(text)).message).not.toContain('pa');
  });
});

describe('a platform', () => {
  test.each([
    ['linux/amd64', ['linux/arm64', 'linux/amd64'], 1],
    ['linux/amd64', ['linux/amd64/v2', 'linux/amd64/v1'], 1],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2'], 1],
    ['linux/amd64/v3', ['linux/amd64'], 0],
    ['linux/amd64', ['linux/amd64/v3'], -1],
    ['linux/amd64', ['windows/amd64', ''], -1],
    ['linux/arm64', ['linux/arm64/v8'], 0],
    ['linux/arm64/v8', ['linux/arm64'], 0],
    ['linux/arm', ['linux/arm/v5', 'linux/arm/v7'], 1],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm/v5'], 1],
    ['linux/arm/v6', ['linux/arm/v7'], -1],
    ['linux/riscv64', ['linux/riscv64'], 0],
    ['linux/386', ['linux/amd64'], -1],
    ['linux/mips64le/r6', ['linux/mips64le'], 0],
    ['linux/arm/v99', ['linux/arm'], -1],
  ])('%s of %j is number %i', (wanted, offered, expected) => {
    expect(choosePlatform(wanted, offered)).toBe(expected);
  });
});

describe('a spec', () => {
  it('cannot name a place on the machine, whoever may read it', async () => {
    await using dir = await tempDir();
    await using fetcher = expectOk(await openOciFetcher({ stateDir: toHostPath(dir.path) }));
    for (const name of ['rootfs:/etc', 'oci:/x', 'oci-archive:/x.tar', 'docker-archive:/x.tar']) {
      const pinned = await fetcher.pin(image(name), quiet());
      expect(expectErr(pinned)).toMatchObject({
        message: expect.stringContaining('which a spec may not name'),
      });
    }
  });
});
