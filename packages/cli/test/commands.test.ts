import { lstat, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MAIN, type Workplace, workplace } from './support.ts';

const OPS = `(run (cache (stuff (target /c))) (shell "head -c 4000000 /dev/zero | tr '\\\\0' x; mkdir /d; echo x > /d/x; chown 1234:567 /d/x; chmod 4750 /d/x"))
 (env VERSION 1)
 (run (shell "echo second"))`;

needs(
  'root',
  'busybox',
  'rsync',
)('the commands on a store', () => {
  let place: Workplace;
  let spec: string;
  let key: string;
  beforeAll(async () => {
    place = await workplace();
    spec = await place.spec('build.spec', OPS);
    key = (await place.build(spec)).stdout.trim();
    expect(key).toMatch(/^[0-9a-f]{64}$/);
  });
  afterAll(() => place[Symbol.asyncDispose]());

  const image = () => ['--image', `busybox=rootfs:${join(place.path, 'rootfs')}`];

  it('ls lists the steps, with keys that the other commands take', async () => {
    const list = await place.snapstep(['ls']);
    const lines = list.stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^KEY +USED +TOOK +STEP$/);
    expect(lines.at(-1)).toMatch(/^[0-9a-f]{12} .* \(run \(shell "echo second"\)\)$/);
    expect(key.startsWith(lines.at(-1)?.slice(0, 12) ?? 'none')).toBe(true);
    const json = await place.snapstep(['ls', '--json']);
    const steps = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(steps.map((step) => step.key)).toHaveLength(3);
    expect(steps.at(-1)).toMatchObject({ key, title: '(run (shell "echo second"))' });
  });

  it('log prints the bytes of a log from any offset, for the first digits of a key', async () => {
    expect(await place.snapstep(['log', key.slice(0, 8)])).toEqual({
      exitCode: 0,
      stdout: 'second\n',
      stderr: '',
    });
    expect(await place.snapstep(['log', key, '--from', '4'])).toMatchObject({ exitCode: 0, stdout: 'nd\n' });
  });

  it('T7: log ends quietly when its reader goes away', async () => {
    const steps = await place.snapstep(['ls', '--json']);
    const long = JSON.parse(steps.stdout.trimEnd().split('\n').at(-2) ?? '{}').key;
    const log = place.start(['log', long]);
    log.stdout?.once('data', () => log.stdout?.destroy());
    const { exitCode, stderr } = await log;
    expect({ exitCode, stderr }).toEqual({ exitCode: 141, stderr: '' });
  });

  it.each([
    ['abc', 'is too short'],
    ['not-a-key', 'is not a step key'],
    ['00000000', 'no step has a key that starts with "00000000"'],
    ['0'.repeat(64), 'there is no log'],
  ])('log refuses the key %s', async (text, message) => {
    const log = await place.snapstep(['log', text]);
    expect(log).toMatchObject({ exitCode: 2, stdout: '' });
    expect(log.stderr).toContain(message);
  });

  it('log and explain find a step that failed by the first digits of its key', async () => {
    const failing = await place.spec('failing.spec', '(run (shell "echo broken; exit 3"))');
    const failed = await place.build(failing);
    const [, broken = ''] = /^key ([0-9a-f]{64})$/m.exec(failed.stderr) ?? [];
    expect(await place.snapstep(['log', broken.slice(0, 12)])).toEqual({
      ...{ exitCode: 0, stdout: 'broken\n', stderr: '' },
    });
    const explained = await place.snapstep(['explain', broken.slice(0, 8)]);
    expect(explained.stdout).toContain('echo broken; exit 3');
    const exported = await place.snapstep(['export', broken.slice(0, 12), 'nowhere']);
    expect(exported).toMatchObject({ exitCode: 2 });
    expect(exported.stderr).toContain('no saved step has a key that starts with');
  });

  it('log says which keys the digits may mean', async () => {
    const [, , directory = ''] = /^(rsync:)(.*)$/.exec(place.store) ?? [];
    const other = `${key.slice(0, 20)}${key[20] === 'f' ? '0' : 'f'}${key.slice(21)}`;
    const file = join(directory, 'builder/logs', key.slice(0, 2), `${other}.log`);
    await writeFile(file, 'another\n');
    const log = await place.snapstep(['log', key.slice(0, 20)]);
    expect(log).toMatchObject({ exitCode: 2, stdout: '' });
    expect(log.stderr).toContain(`"${key.slice(0, 20)}" is the beginning of 2 keys: give more digits (`);
    for (const each of [key, other]) expect(log.stderr).toContain(each.slice(0, 24));
    await rm(file);
  });

  it('plan shows keys, and what is saved, before and after a change', async () => {
    const same = await place.snapstep(['plan', '-f', spec, ...image()]);
    expect(same.stdout.match(/ saved /g)).toHaveLength(3);
    const changed = await place.spec('changed.spec', OPS.replace('VERSION 1', 'VERSION 2'));
    const plan = await place.snapstep(['plan', '-f', changed, '--json', ...image()]);
    const steps = plan.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(steps.map((step) => step.saved)).toEqual([true, true, false]);
    expect(steps[2].key).not.toBe(key);
  });

  it('plan --explain tells what differs from the nearest saved step, and leaves no record of it', async () => {
    const changed = await place.spec('planned.spec', OPS.replace('VERSION 1', 'VERSION 7'));
    const text = await place.snapstep(['plan', '-f', changed, '--explain', ...image()]);
    expect(text.stdout).toMatch(/env\.VERSION\n +- "1"\n +\+ "7"/);
    const json = await place.snapstep(['plan', '-f', changed, '--explain', '--json', ...image()]);
    const last = JSON.parse(json.stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(last.explanation.nearest.differences).toEqual([{ path: 'env.VERSION', was: '1', is: '7' }]);
    const after = await place.snapstep(['explain', last.key]);
    expect(after.exitCode).not.toBe(0);
  });

  it('explain says what a key was made of, and what differs from the nearest saved step', async () => {
    const changed = await place.spec('explained.spec', OPS.replace('VERSION 1', 'VERSION 3'));
    const built = await place.build(changed);
    const text = await place.snapstep(['explain', built.stdout.trim()]);
    expect(text.stdout).toContain('"VERSION": "3"');
    const json = await place.snapstep(['explain', '--json', built.stdout.trim()]);
    expect(JSON.parse(json.stdout).nearest).toMatchObject({
      key,
      differences: [{ path: 'env.VERSION', was: '1', is: '3' }],
    });
    const unknown = await place.snapstep(['explain', '0'.repeat(64)]);
    expect(unknown.exitCode).toBe(2);
  });

  it('export copies a step into a directory, with owners and modes', async () => {
    const out = join(place.path, 'out');
    expect(await place.snapstep(['export', key, out])).toMatchObject({ exitCode: 0, stderr: '' });
    const { uid, gid, mode } = await lstat(join(out, 'd/x'));
    expect([uid, gid, mode & 0o7777]).toEqual([1234, 567, 0o4750]);
    const again = await place.snapstep(['export', key, out]);
    expect(again.exitCode).toBe(2);
    expect(again.stderr).toContain('not an empty directory');
    const nowhere = await place.snapstep(['export', key, '/nowhere/out']);
    expect(nowhere).toMatchObject({ exitCode: 2 });
  });

  it('export lets nobody else into its directory, unless a mode is given', async () => {
    const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
    const [closed, open] = ['closed', 'open'].map((name) => join(place.path, name)) as [string, string];
    expect(await place.snapstep(['export', key, closed])).toMatchObject({ exitCode: 0 });
    expect(await place.snapstep(['export', key, open, '--mode', '755'])).toMatchObject({ exitCode: 0 });
    expect([await modeOf(closed), await modeOf(open)]).toEqual([0o700, 0o755]);
    const wrong = await place.snapstep(['export', key, join(place.path, 'x'), '--mode', 'rwx']);
    expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('three octal digits') });
  });

  it('export writes the same tar to a file and to standard output', async () => {
    const file = join(place.path, 'out.tar');
    expect(await place.snapstep(['export', key, file])).toMatchObject({ exitCode: 0 });
    const { stdout } = await execa('tar', ['--list', '--verbose', '--numeric-owner', '--file', file]);
    expect(stdout).toMatch(/^-rwsr-x--- 1234\/567 .* \.\/d\/x$/m);
    const streamed = join(place.path, 'streamed.tar');
    const env = { SNAPSTEP_STORE: place.store };
    await execa(process.execPath, [MAIN, 'export', key, '-'], { stdout: { file: streamed }, env });
    expect((await readFile(streamed)).equals(await readFile(file))).toBe(true);
  });

  it('df says what is used of what can run out', async () => {
    const df = await place.snapstep(['df', '--json']);
    const axes = df.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(axes.find(({ axis }) => axis === 'bytes')).toMatchObject({ total: expect.any(Number) });
    expect(axes.find(({ axis }) => axis === 'log-bytes').used).toBeGreaterThan(0);
    expect(axes.find(({ axis }) => axis === 'failed-log-bytes')).toMatchObject({ total: 2 ** 28 });
    expect((await place.snapstep(['df'])).stdout).toMatch(/^bytes +[\d.]+ \w+ +[\d.]+ \w+ +\d+%$/m);
  });

  it('cache lists caches, deletes them by name, and refuses a name that is none', async () => {
    expect(await place.snapstep(['cache', 'ls'])).toMatchObject({ stdout: 'stuff\n' });
    const wrong = await place.snapstep(['cache', 'rm', 'stuff', 'stuf']);
    expect(wrong).toMatchObject({ exitCode: 2, stderr: 'snapstep: there is no cache "stuf"\n' });
    expect(await place.snapstep(['cache', 'rm', 'stuff'])).toMatchObject({ exitCode: 0 });
    expect(await place.snapstep(['cache', 'ls'])).toMatchObject({ stdout: '' });
  });

  it("healthcheck builds for real, and is the machine's fault when it fails", async () => {
    expect(await place.snapstep(['healthcheck', ...image()])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: 'healthy\n',
    });
    const sick = await place.snapstep(['healthcheck', '--image', 'busybox=rootfs:/nowhere']);
    expect(sick.exitCode).toBe(3);
  });

  it('prune and delete print the keys that are gone, and stop where they are told', async () => {
    const spared = await place.snapstep(['prune', '--older-than', '7d']);
    expect(spared).toEqual({ exitCode: 0, stdout: '', stderr: '0 deleted\n' });
    const one = await place.snapstep(['prune', '--limit', '1']);
    expect(one.stderr).toBe('1 deleted\n');
    const built = await place.build(spec);
    const [base] = (await place.snapstep(['ls', '--json'])).stdout
      .split('\n')
      .map((line) => JSON.parse(line || '{}'))
      .filter(({ title }) => title === '(from busybox)');
    const deleted = await place.snapstep(['delete', base.key.slice(0, 10)]);
    expect(deleted.stdout).toContain(built.stdout);
    expect((await place.snapstep(['ls', '--json'])).stdout).toBe('');
    await place.build(spec);
    const full = await place.snapstep(['prune', '--keep-free', '0%']);
    expect(full.stderr).toBe('0 deleted\n');
    const few = await place.snapstep(['prune', '--max-steps', '1']);
    expect(few.stderr).toBe('2 deleted\n');
    await place.build(await place.spec('bad.spec', '(run (shell "seq 1000; exit 1"))'));
    const all = await place.snapstep(['prune']);
    expect(all.stderr).toMatch(/^1 deleted, and [\d.]+ KiB of logs of steps that failed\n$/);
    expect((await place.snapstep(['prune'])).stderr).toBe('0 deleted\n');
  });
});
