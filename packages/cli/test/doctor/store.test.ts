import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { btrfsVolume, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { running } from '../running.ts';
import { type Workplace, workplace } from '../support.ts';
import { doctor } from './doctor.ts';

needs(
  'root',
  'busybox',
  'runc',
  'rsync',
)('snapstep doctor on a store', () => {
  let place: Workplace;
  let key: string;
  beforeAll(async () => {
    place = await workplace();
    key = (await place.build(await place.spec('a.spec', '(run (shell "echo a > /a"))'))).stdout.trim();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  it('finds no problem in one that is well, tells so on a terminal, and exits with 0', async () => {
    const found = await place.snapstep(['doctor']);
    expect(found.stderr).toMatch(/^\d+ ok, \d+ warnings, 0 problems\n$/);
    expect(found.exitCode).toBe(0);
    expect(found.stdout).toMatch(/^ok {7}index {18}2 steps are saved$/m);
    expect(found.stdout).not.toContain('spotlight');
  });

  it('changes no byte of it, and leaves no file behind', async () => {
    const before = await fingerprint(place.path);
    await doctor(place);
    expect(await fingerprint(place.path)).toEqual(before);
  });

  it('calls a saved step whose files are gone a problem, with the command that mends it', async () => {
    await rm(join(place.path, 'store/result', key), { recursive: true });
    const { exitCode, findings } = await doctor(place);
    expect(exitCode).toBe(1);
    const finding = findings.get('rows-without-snapshots');
    expect(finding).toMatchObject({
      state: 'problem',
      found: `${key.slice(0, 12)} is counted as saved, but gone from the store`,
    });
    expect(findings.get('snapshots-without-rows')).toMatchObject({ state: 'ok' });
    const [, mend = ''] = /then: snapstep (.*)$/.exec(finding?.mend ?? '') ?? [];
    expect(await place.snapstep(mend.split(' '))).toMatchObject({ exitCode: 0 });
    expect((await doctor(place)).findings.get('rows-without-snapshots')).toMatchObject({ state: 'ok' });
  });

  it('warns of files that no step is known to have made (Z17)', async () => {
    const stray = 'ab'.repeat(32);
    await mkdir(join(place.path, 'store/result', stray));
    const { exitCode, findings } = await doctor(place);
    expect(findings.get('snapshots-without-rows')).toMatchObject({
      state: 'warning',
      found: 'abababababab is in the store, but unknown to the index',
    });
    expect(exitCode).toBe(0);
    await place.snapstep(['ls']);
    expect((await doctor(place)).findings.get('snapshots-without-rows')).toMatchObject({ state: 'ok' });
  });

  it('names a mount that a killed process left below the store, and what takes it away', async () => {
    const at = join(place.path, 'store/temporary/left');
    await mkdir(at);
    await execa('mount', ['-t', 'tmpfs', 'none', at]);
    try {
      const finding = (await doctor(place)).findings.get('stale-mounts');
      expect(finding).toMatchObject({ state: 'warning', found: expect.stringContaining(`such as ${at}`) });
      const [, ...mend] = (finding?.mend ?? '').split(' ');
      expect(await place.snapstep(mend)).toMatchObject({ exitCode: 0 });
      expect((await doctor(place)).findings.get('stale-mounts')).toMatchObject({ state: 'ok' });
    } finally {
      await execa('umount', ['--lazy', at], { reject: false });
    }
  });

  it('calls an index that is damaged a problem, and does not mend it itself', async () => {
    await using own = await workplace();
    await own.build(await own.spec('a.spec', '(run (shell "true"))'));
    const file = join(own.path, 'store/builder/index.db');
    await writeFile(file, 'this is no database, and was never one '.repeat(500));
    const { exitCode, findings } = await doctor(own);
    expect(exitCode).toBe(1);
    expect(findings.get('index')).toMatchObject({
      state: 'problem',
      found: expect.stringContaining('damaged'),
    });
    expect(await readFile(file, 'utf8')).toContain('this is no database');
  });

  it('works beside a running build, and takes nothing of it for a leftover', async () => {
    const spec = await place.spec('long.spec', '(run (shell "echo begun; sleep 1000"))');
    const image = `busybox=rootfs:${join(place.path, 'rootfs')}`;
    await using build = running(place, ['build', '-f', spec, '--image', image, '--progress', 'plain']);
    await build.prints('| begun\n');
    const { exitCode, findings } = await doctor(place);
    expect(findings.get('owner')).toMatchObject({ found: `process ${build.pid} has the store open` });
    expect(findings.get('leftover-containers')?.found).toMatch(
      /^[1-9]\d* processes in containers of process/,
    );
    for (const name of [
      'leftover-copies',
      'stale-mounts',
      'rows-without-snapshots',
      'snapshots-without-rows',
    ]) {
      expect(findings.get(name), name).toMatchObject({ state: 'ok' });
    }
    expect(exitCode).toBe(0);
  });

  it('finds the container and the copy that a killed command left (R1)', async () => {
    const spec = await place.spec('killed.spec', '(run (shell "echo begun; sleep 1000"))');
    const image = `busybox=rootfs:${join(place.path, 'rootfs')}`;
    const build = running(place, ['build', '-f', spec, '--image', image, '--progress', 'plain']);
    await build.prints('| begun\n');
    build.kill('SIGKILL');
    await build.end;
    const { exitCode, findings } = await doctor(place);
    expect(findings.get('owner')).toMatchObject({ found: 'no builder is running' });
    expect(findings.get('leftover-copies')).toMatchObject({ state: 'warning' });
    const left = findings.get('leftover-containers');
    expect(left).toMatchObject({ state: 'warning' });
    expect(exitCode).toBe(0);
    await place.snapstep((left?.mend ?? '').split(' ').slice(1));
    const after = await doctor(place);
    expect(after.findings.get('leftover-containers')).toMatchObject({ state: 'ok', found: 'none' });
    expect(after.findings.get('leftover-copies')).toMatchObject({ state: 'ok' });
  });
});

needs(
  'root',
  'busybox',
  'btrfs',
)('snapstep doctor on Btrfs', () => {
  it('reads the fill of its metadata, and warns of quotas (B2, B5)', async () => {
    await using disk = await btrfsVolume();
    await using place = await workplace(`btrfs:${join(disk.path, 'store')}`);
    const before = await doctor(place);
    expect(before.findings.get('btrfs-metadata')).toMatchObject({
      state: 'ok',
      found: expect.stringMatching(/^\d+ % full/),
    });
    expect(before.findings.get('btrfs-quota')).toMatchObject({ state: 'ok', found: 'quotas are off' });
    expect(before.findings.get('free-inodes')).toMatchObject({ state: 'not-applicable' });
    await execa('btrfs', ['quota', 'enable', disk.path]);
    const { findings } = await doctor(place);
    expect(findings.get('btrfs-quota')).toMatchObject({
      state: 'warning',
      mend: `btrfs quota disable ${disk.path}`,
    });
  });

  it('says that another file system is none', async () => {
    await using place = await workplace('btrfs:/dev/shm/snapstep-none');
    const { exitCode, findings } = await doctor(place);
    expect(findings.get('btrfs-metadata')).toMatchObject({
      state: 'problem',
      found: expect.stringContaining('/dev/shm'),
    });
    expect(exitCode).toBe(1);
  });
});

/** Names, kinds, sizes and times of all that is below a directory. */
async function fingerprint(directory: string): Promise<readonly string[]> {
  const names = (await readdir(directory, { recursive: true })).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const { mode, size, mtimeMs, ctimeMs } = await stat(join(directory, name)).catch(() => ({
        mode: 0,
        size: 0,
        mtimeMs: 0,
        ctimeMs: 0,
      }));
      return `${name} ${mode} ${size} ${mtimeMs} ${ctimeMs}`;
    }),
  );
}
