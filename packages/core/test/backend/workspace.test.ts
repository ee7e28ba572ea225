import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, rmdir, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import {
  detachBelow,
  err,
  failed,
  makePrivateDirectory,
  ok,
  removeTree,
  Workspace,
  type WorkspaceOptions,
} from '../../src/backend/index.ts';

describe('a workspace', () => {
  it('gives paths in its session, each only once', async () => {
    await using place = await openPlace();
    const paths = Array.from({ length: 100 }, () => place.workspace.fresh());
    expect(new Set(paths).size).toBe(100);
    expect(paths.every((path) => path.startsWith(`${place.workspace.session}/`))).toBe(true);
    expect(await readdir(place.workspace.session)).toEqual([]);
  });
  it('has a session again that somebody took away', async () => {
    await using place = await openPlace();
    await rm(place.path, { recursive: true });
    await mkdir(place.workspace.fresh());
    expect((await stat(place.workspace.session)).mode & 0o777).toBe(0o700);
  });
  it('throws away what earlier sessions left, under a name that was never there', async () => {
    await using place = await openPlace();
    await writeFile(place.workspace.fresh(), 'left');
    const next = new Workspace({ path: place.path });
    expectOk(await next.open());
    expect(next.session).not.toBe(place.workspace.session);
    expect(await readdir(place.path, { recursive: true })).toEqual([
      next.session.slice(place.path.length + 1),
    ]);
  });
  it('lets nobody else in', async () => {
    await using place = await openPlace();
    expect((await stat(place.path)).mode & 0o777).toBe(0o700);
  });
  it('discards what is there, and what is not', async () => {
    await using place = await openPlace();
    const doomed = join(place.path, 'doomed');
    await mkdir(join(doomed, 'deep/er'), { recursive: true });
    expectOk(await place.workspace.discard(doomed));
    expectOk(await place.workspace.discard(doomed));
    expect(await readdir(place.workspace.session)).toEqual([]);
    await expect(stat(doomed)).rejects.toMatchObject({ code: 'ENOENT' });
  });
  it('hides first: what could not be deleted is out of sight, and deleted later', async () => {
    let isDiskFailing = true;
    const remove: NonNullable<WorkspaceOptions['remove']> = async (path, options) =>
      isDiskFailing ? err(failed('the disk failed')) : removeTree(path, options);
    await using place = await openPlace(remove);
    const doomed = join(place.path, 'doomed');
    await mkdir(doomed);
    expect(expectErr(await place.workspace.discard(doomed))).toMatchObject({ message: 'the disk failed' });
    await expect(stat(doomed)).rejects.toMatchObject({ code: 'ENOENT' });
    expectErr(await place.workspace.finishDiscards());
    isDiskFailing = false;
    expectOk(await place.workspace.finishDiscards());
    expect(await readdir(place.workspace.session)).toEqual([]);
  });
  it('deletes a thing once, though it is discarded and what was discarded is finished at the same time', async () => {
    const begun = Promise.withResolvers<void>();
    const mayGoOn = Promise.withResolvers<void>();
    const removed: string[] = [];
    // As a subvolume is: who deletes one that is gone fails.
    const remove: NonNullable<WorkspaceOptions['remove']> = async (path) => {
      removed.push(path);
      begun.resolve();
      await mayGoOn.promise;
      await rmdir(path);
      return ok();
    };
    await using place = await openPlace(remove);
    const doomed = join(place.path, 'doomed');
    await mkdir(doomed);
    const discarded = place.workspace.discard(doomed);
    await begun.promise;
    const finished = [place.workspace.finishDiscards(), place.workspace.finishDiscards()];
    mayGoOn.resolve();
    for (const result of await Promise.all([discarded, ...finished])) expectOk(result);
    expect(removed).toHaveLength(1);
    expect(await readdir(place.workspace.session)).toEqual([]);
  });
  it('wipes an earlier session also where a child of its dead owner is still making files in it', async () => {
    await using place = await openPlace();
    const cwd = place.workspace.fresh();
    await mkdir(cwd);
    const child = spawn('sh', ['-c', 'while mkdir "$((i += 1))"; do echo; done'], { cwd });
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    const next = new Workspace({ path: place.path });
    expectOk(await next.open());
    // It ends when there is no directory any more that it could write to.
    await exited;
    expect(await readdir(place.path)).toEqual([basename(next.session)]);
    expect(await readdir(next.session)).toEqual([]);
  });
  it('later wipes what such a child made anew, or kept from being wiped', async () => {
    let isBusy = true;
    const remove: NonNullable<WorkspaceOptions['remove']> = async (path, options) =>
      isBusy ? err(failed('Directory not empty')) : removeTree(path, options);
    await using place = await openPlace();
    await writeFile(place.workspace.fresh(), 'left');
    const next = new Workspace({ path: place.path, remove });
    expectOk(await next.open());
    await mkdir(join(place.workspace.session, 'made/anew'), { recursive: true });
    expectOk(await next.finishDiscards());
    isBusy = false;
    expectOk(await next.finishDiscards());
    expect(await readdir(place.path)).toEqual([basename(next.session)]);
    expect(await readdir(next.session)).toEqual([]);
  });
  it('deletes what it can, where something else cannot be deleted', async () => {
    let stays = '';
    const remove: NonNullable<WorkspaceOptions['remove']> = async (path, options) =>
      path === stays || stays === '' ? err(failed(`${path} stays`)) : removeTree(path, options);
    await using place = await openPlace(remove);
    for (const name of ['one', 'two', 'three']) {
      await mkdir(join(place.path, name));
      expectErr(await place.workspace.discard(join(place.path, name)));
    }
    const names = await readdir(place.workspace.session);
    stays = join(place.workspace.session, names[1] ?? '');
    expect(expectErr(await place.workspace.finishDiscards())).toMatchObject({ message: `${stays} stays` });
    expect(await readdir(place.workspace.session)).toEqual([names[1]]);
  });
  it('opens where files of an earlier session cannot be deleted', async () => {
    await using place = await openPlace();
    await writeFile(place.workspace.fresh(), 'left');
    const remove = async () => err(failed('the disk failed'));
    expectOk(await new Workspace({ path: place.path, remove }).open());
  });
});

needs('root')('what is mounted', () => {
  it('in an earlier session is unmounted, and what it showed stays', async () => {
    await using place = await openPlace();
    const { other, target } = await bind(place);
    const next = new Workspace({ path: place.path });
    expectOk(await next.open());
    await expect(stat(target)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(other)).toEqual(['precious']);
  });
  it('is never deleted through: the tree stays whole', async () => {
    await using place = await openPlace();
    const { other, target } = await bind(place);
    await writeFile(join(place.workspace.session, 'beside'), '');
    const removed = await removeTree(place.workspace.session);
    expect(expectErr(removed)).toEqual({
      type: 'busy',
      message: expect.stringContaining(`${target} is mounted`),
    });
    expect(await readdir(place.workspace.session)).toContain('beside');
    expect(await readdir(other)).toEqual(['precious']);
  });
});

describe('makePrivateDirectory', () => {
  it('refuses a link, and leaves what it leads to as it was', async () => {
    await using dir = await tempDir();
    const [path, other] = [join(dir.path, 'result'), join(dir.path, 'other')];
    await mkdir(other, { mode: 0o755 });
    for (const target of [other, '/nowhere/at/all']) {
      await symlink(target, path);
      expectErr(await makePrivateDirectory(path));
      await rm(path);
    }
    await symlink(other, path);
    expect(expectErr(await makePrivateDirectory(path))).toMatchObject({
      message: expect.stringContaining(`${path} is a link`),
    });
    expect((await stat(other)).mode & 0o777).toBe(0o755);
  });
  it('closes a directory that was there and open', async () => {
    await using dir = await tempDir();
    const path = join(dir.path, 'open');
    await mkdir(path, { mode: 0o755 });
    expectOk(await makePrivateDirectory(path));
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });
});

async function openPlace(remove?: WorkspaceOptions['remove']) {
  const dir = await tempDir();
  const path = join(dir.path, 'work');
  const workspace = new Workspace({ path, ...(remove && { remove }) });
  expectOk(await workspace.open());
  return {
    path,
    workspace,
    root: dir.path,
    async [Symbol.asyncDispose]() {
      expectOk(await detachBelow(path));
      expectOk(await removeTree(path));
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** A directory with a file of somebody else's, mounted in the session. */
async function bind(place: Awaited<ReturnType<typeof openPlace>>) {
  const other = join(place.root, 'other');
  const target = place.workspace.fresh();
  await mkdir(other);
  await mkdir(target);
  await writeFile(join(other, 'precious'), '');
  execFileSync('mount', ['--bind', other, target]);
  return { other, target };
}
