import { mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@snapstep/core/backend';
import { btrfsVolume, expectErr, expectOk, needs, tempDir, xfsVolume } from '@snapstep/test-support';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chooseCopyMethod, copyTree } from '../src/copy-method.ts';
import { isRecentRsync } from '../src/rsync.ts';

const programs = new Map<string, string>();
for (const name of ['cp', 'rsync']) {
  programs.set(name, expectOk(await runCommand('which', [name])).trim());
}

/** A PATH with these programs and no other. */
async function only(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) await symlink(programs.get(name) ?? '', join(directory, name));
  process.env.PATH = directory;
}

describe('chooseCopyMethod', () => {
  const path = process.env.PATH;
  let bin: Awaited<ReturnType<typeof tempDir>>;
  let dir: Awaited<ReturnType<typeof tempDir>>;
  beforeEach(async () => {
    bin = await tempDir();
    dir = await tempDir();
  });
  afterEach(async () => {
    process.env.PATH = path;
    await bin[Symbol.asyncDispose]();
    await dir[Symbol.asyncDispose]();
  });

  needs('root', 'btrfs')('on Btrfs', () => {
    it('takes reflinks', async () => {
      await using disk = await btrfsVolume();
      expect(expectOk(await chooseCopyMethod('auto', await mkdtemp(join(disk.path, 'x'))))).toBe('reflink');
    });
  });
  needs('root', 'xfs')('on XFS', () => {
    it('takes reflinks', async () => {
      await using disk = await xfsVolume();
      expect(expectOk(await chooseCopyMethod('auto', await mkdtemp(join(disk.path, 'x'))))).toBe('reflink');
    });
  });
  it('takes rsync where there is no cp', async () => {
    await only(bin.path, ['rsync']);
    expect(expectOk(await chooseCopyMethod('auto', dir.path))).toBe('rsync');
  });
  it('takes rsync where cp is not that of GNU', async () => {
    await only(bin.path, ['rsync']);
    await writeFile(join(bin.path, 'cp'), '#!/bin/sh\necho "unrecognized option" >&2\nexit 1\n', {
      mode: 0o755,
    });
    expect(expectOk(await chooseCopyMethod('auto', dir.path))).toBe('rsync');
    expect(expectErr(await chooseCopyMethod('copy', dir.path))).toMatchObject({ type: 'failed' });
  });
  it('says that nothing can copy where neither is there', async () => {
    await only(bin.path, []);
    expect(expectErr(await chooseCopyMethod('auto', dir.path))).toMatchObject({
      message: expect.stringContaining('neither GNU cp nor rsync'),
    });
  });
});

describe('isRecentRsync (V9)', () => {
  it.each(['rsync  version 3.2.7  protocol version 31', 'rsync  version v3.5.0', 'rsync version 3.10.0'])(
    'accepts "%s"',
    (text) => expect(isRecentRsync(text)).toBe(true),
  );
  it.each([
    'openrsync: protocol version 29',
    'rsync  version 2.6.9  protocol',
    'rsync version 3.1.2',
    '',
    'x',
  ])('refuses "%s"', (text) => expect(isRecentRsync(text)).toBe(false));
});

needs('root', 'btrfs')('copying with reflinks', () => {
  it('also copies a file that cannot share its blocks', async () => {
    await using disk = await btrfsVolume();
    const from = await mkdtemp(join(disk.path, 'from-'));
    await writeFile(join(from, 'plain'), 'x'.repeat(100_000));
    await writeFile(join(from, 'nocow'), '');
    expectOk(await runCommand('chattr', ['+C', join(from, 'nocow')]));
    await writeFile(join(from, 'nocow'), 'y'.repeat(100_000));
    expectOk(await copyTree.reflink(from, join(disk.path, 'to'), {}));
    expect(await readdir(join(disk.path, 'to'))).toEqual(['nocow', 'plain']);
    expect(await readFile(join(disk.path, 'to/nocow'), 'utf8')).toBe('y'.repeat(100_000));
  });
});
