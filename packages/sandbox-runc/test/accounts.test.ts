import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findAccount, supplementaryGroups } from '../src/accounts.ts';

describe('the account of a user', () => {
  let dir: Awaited<ReturnType<typeof tempDir>>;
  const etc = (name: string): string => join(dir.path, 'etc', name);

  beforeEach(async () => {
    dir = await tempDir();
    await mkdir(join(dir.path, 'etc'));
    const lines = [
      'root:x:0:0:root:/root:/bin/sh',
      '',
      '# comment',
      'broken:x:abc:1::/b:',
      'opam:x:1000:1001::/home/opam:',
    ];
    await writeFile(etc('passwd'), [...lines, 'bare:x:7:8::'].join('\n'));
    await writeFile(
      etc('group'),
      'root:x:0:\nopam:x:1001:\nsudo:x:27:me,opam\nopamx:x:28:opamx\ndup:x:27:opam\n',
    );
  });
  afterEach(() => dir[Symbol.asyncDispose]());

  it('is found by name', async () => {
    const account = await findAccount(dir.path, { name: 'opam' });
    expect(expectOk(account)).toEqual({ uid: 1000, gid: 1001, home: '/home/opam' });
  });

  it('has / for a home where none is given', async () => {
    expect(expectOk(await findAccount(dir.path, { name: 'bare' }))).toEqual({ uid: 7, gid: 8, home: '/' });
  });

  it('does not exist for a name that is not there, or has no numbers', async () => {
    expect(expectOk(await findAccount(dir.path, { name: 'nobody' }))).toBeUndefined();
    expect(expectOk(await findAccount(dir.path, { name: 'broken' }))).toBeUndefined();
    expect(expectOk(await findAccount(dir.path, { name: '' }))).toBeUndefined();
  });

  it('keeps the numbers it was asked for, and adds the home of that uid', async () => {
    const account = await findAccount(dir.path, { uid: 1000, gid: 5 });
    expect(expectOk(account)).toEqual({ uid: 1000, gid: 5, home: '/home/opam' });
  });

  it('of a number that nobody has lives in /', async () => {
    const account = await findAccount(dir.path, { uid: 4000, gid: 4001 });
    expect(expectOk(account)).toEqual({ uid: 4000, gid: 4001, home: '/' });
  });

  it('is that of root, living in /, where the image has no list at all', async () => {
    await rm(etc('passwd'));
    expect(expectOk(await findAccount(dir.path, { uid: 0, gid: 0 }))).toEqual({ uid: 0, gid: 0, home: '/' });
  });

  it('comes from the image also where its list is a link that leads out of it', async () => {
    await rm(etc('passwd'));
    await symlink('/../../../../etc/passwd-elsewhere', etc('passwd'));
    await writeFile(etc('passwd-elsewhere'), 'daemon:x:77:78::/in/image:');
    const account = await findAccount(dir.path, { name: 'daemon' });
    expect(expectOk(account)).toEqual({ uid: 77, gid: 78, home: '/in/image' });
  });

  it('is refused, without waiting, where the list is a pipe or a directory', async () => {
    await rm(etc('passwd'));
    execFileSync('mkfifo', [etc('passwd')]);
    expect(expectErr(await findAccount(dir.path, { name: 'root' })).message).toContain('/etc/passwd');
    await rm(etc('passwd'));
    await mkdir(etc('passwd'));
    expect(expectErr(await findAccount(dir.path, { name: 'root' })).message).toContain('/etc/passwd');
  });

  it('is refused where the list is a socket, or a link to a name that is too long', async () => {
    await rm(etc('passwd'));
    const server = createServer().listen(etc('passwd'));
    await once(server, 'listening');
    expect(expectErr(await findAccount(dir.path, { name: 'root' })).message).toContain('/etc/passwd');
    server.close();
    await rm(etc('passwd'), { force: true });
    await symlink('x'.repeat(300), etc('passwd'));
    expect(expectErr(await findAccount(dir.path, { name: 'root' })).message).toContain('/etc/passwd');
  });

  it.runIf(process.getuid?.() === 0)(
    'is refused, without opening it, where the list is a device',
    async () => {
      await rm(etc('passwd'));
      // Nothing has this number: opening it would fail with ENXIO.
      execFileSync('mknod', [etc('passwd'), 'c', '240', '77']);
      expect(expectErr(await findAccount(dir.path, { name: 'root' })).message).toContain('/etc/passwd');
    },
  );

  it('has the groups that list it, each once, without its own', async () => {
    expect(expectOk(await supplementaryGroups(dir.path, { uid: 1000, gid: 1001 }))).toEqual([27]);
    expect(expectOk(await supplementaryGroups(dir.path, { uid: 1000, gid: 27 }))).toEqual([]);
    expect(expectOk(await supplementaryGroups(dir.path, { uid: 4000, gid: 4000 }))).toEqual([]);
  });
});
