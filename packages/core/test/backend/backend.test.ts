import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync } from 'node:fs';
import { chmod, chown, link, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  escapeName,
  heldDirectory,
  lockDirectory,
  resolveInside,
  runCommand,
  toHostPath,
  unescapeName,
} from '../../src/backend/index.ts';

const run = promisify(execFile);

describe('escaped names', () => {
  it('are injective, safe on disks that ignore case, and can be read back [C14]', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (text) => {
        const escaped = escapeName(text);
        expect(escaped).toMatch(/^c-[a-z0-9_.%-]*$/);
        expect(unescapeName(escaped)).toBe(text);
      }),
    );
    expect(['ok', '', 'a/1', '..', '%20', 'foo:bar', 'OK'].map(escapeName)).toEqual([
      ...['c-ok', 'c-', 'c-a%2f1', 'c-..', 'c-%2520', 'c-foo%3abar', 'c-%4f%4b'],
    ]);
  });

  it('that would be too long are refused', () => {
    expect(() => escapeName('x'.repeat(300))).toThrow(RangeError);
  });
});

describe('a path inside a tree', () => {
  it('follows links as after a chroot, and never leaves the tree [C2] [C19]', async () => {
    await using dir = await tempDir();
    const root = join(dir.path, 'root');
    await mkdir(join(root, 'a/b'), { recursive: true });
    await symlink('/a', join(root, 'abs'));
    await symlink('../../../../etc', join(root, 'a/up'));
    await symlink('loop', join(root, 'loop'));
    await writeFile(join(root, 'file'), '');
    const at = async (path: string): Promise<unknown> => {
      const found = await resolveInside(root, path, { followLast: true });
      return found.isOk()
        ? [found.value.existing.slice(root.length), ...found.value.missing]
        : found.error.message;
    };
    expect(await at('/abs/b')).toEqual(['/a/b']);
    expect(await at('abs/../../..')).toEqual(['']);
    expect(await at('/a/up/passwd')).toEqual(['', 'etc', 'passwd']);
    expect(await at('a/new/x')).toEqual(['/a', 'new', 'x']);
    expect(await at('file/x')).toBe('file/x: /file is not a directory');
    expect(await at('loop/x')).toBe('loop/x: too many symbolic links');
  });
});

describe('the lock of a directory', () => {
  it('holds against the same process and others, and tells the pid [X7] [P17]', async () => {
    await using dir = await tempDir();
    await using _lock = expectOk(await lockDirectory(toHostPath(dir.path)));
    const busy = { type: 'busy', message: `${dir.path} is in use by process ${process.pid}` };
    expect(expectErr(await lockDirectory(toHostPath(dir.path)))).toEqual(busy);
    expect(await lockElsewhere(dir.path)).toEqual(busy);
  });

  it('is in files that nobody else reads', async () => {
    await using dir = await tempDir();
    await using _lock = expectOk(await lockDirectory(toHostPath(dir.path)));
    for (const name of ['owner.lock', 'owner.pid'])
      expect(lstatSync(join(dir.path, name)).mode & 0o777, name).toBe(0o600);
  });

  it
    .runIf(process.getuid?.() === 0)
    .each<readonly [whose: string, change: (path: string) => Promise<void>, why: string]>([
      [
        'that belongs to another user',
        (path) => chown(path, 1234, 0),
        'it belongs to user 1234, and this process is user 0',
      ],
      [
        'that everybody may write to',
        (path) => chmod(path, 0o777),
        'everybody may write to it; take that away with chmod o-w',
      ],
    ])('is not taken of a directory %s', async (_, change, why) => {
    await using dir = await tempDir();
    await change(dir.path);
    expect(expectErr(await lockDirectory(toHostPath(dir.path)))).toEqual({
      type: 'failed',
      message: `cannot use ${dir.path}: ${why}`,
    });
    expect(await readdir(dir.path)).toEqual([]);
  });

  it('is free again when its owner gave it up', async () => {
    await using dir = await tempDir();
    await expectOk(await lockDirectory(toHostPath(dir.path)))[Symbol.asyncDispose]();
    await expectOk(await lockDirectory(toHostPath(dir.path)))[Symbol.asyncDispose]();
  });

  it('is free again when its owner was killed', async () => {
    await using dir = await tempDir();
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `${lockScript(dir.path)}; setInterval(() => {}, 1000)`,
    ]);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expectErr(await lockDirectory(toHostPath(dir.path)));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    await expectOk(await lockDirectory(toHostPath(dir.path)))[Symbol.asyncDispose]();
  });

  it.runIf(process.platform === 'linux')(
    'is free once what its killed owner left behind has ended',
    async () => {
      await using dir = await tempDir();
      const owner = spawn('true');
      await once(owner, 'close');
      await writeFile(join(dir.path, 'owner.pid'), `${owner.pid}\n`);
      const heir = spawn('flock', [dir.path, 'sh', '-c', 'echo; exec sleep 0.3']);
      await once(heir.stdout, 'data');
      await expectOk(await lockDirectory(toHostPath(dir.path)))[Symbol.asyncDispose]();
    },
  );

  // A process gives up all its POSIX locks on a file when it closes any descriptor of it.
  it('stays with a process that reads the lock file itself', async () => {
    await using dir = await tempDir();
    await using _lock = expectOk(await lockDirectory(toHostPath(dir.path)));
    await readFile(join(dir.path, 'owner.lock'));
    expect(await lockElsewhere(dir.path)).toMatchObject({ type: 'busy' });
  });

  it('stays also where the lock file is deleted', async () => {
    await using dir = await tempDir();
    await using _lock = expectOk(await lockDirectory(toHostPath(dir.path)));
    await rm(join(dir.path, 'owner.lock'));
    expect(await lockElsewhere(dir.path)).toMatchObject({ type: 'busy' });
  });

  it('writes its pid to no file that a link leads to, and waits for nobody to read a pipe', async () => {
    await using dir = await tempDir();
    const [theirs, ours] = [join(dir.path, 'theirs'), join(dir.path, 'owner.pid')];
    await writeFile(theirs, 'precious');
    await symlink(theirs, ours);
    await expectOk(await lockDirectory(toHostPath(dir.path)))[Symbol.asyncDispose]();
    expect(await readFile(theirs, 'utf8')).toBe('precious');
    await rm(ours);
    await run('mkfifo', [ours]);
    await using _lock = expectOk(await lockDirectory(toHostPath(dir.path)));
    expect(await readFile(ours, 'utf8')).toBe(`${process.pid}\n`);
  });

  it.each<readonly [what: string, damage: (file: string) => Promise<unknown>]>([
    ['is no database', (file) => writeFile(file, 'x'.repeat(5000))],
    ['is empty', (file) => writeFile(file, '')],
    ['is a directory with files', (file) => mkdir(join(file, 'x'), { recursive: true })],
    ['is a link to nowhere', (file) => symlink('/nowhere/at/all', file)],
  ])('can be taken where its file %s', async (_, damage) => {
    await using dir = await tempDir();
    for (const name of ['owner.lock', 'owner.pid']) await damage(join(dir.path, name));
    await using _lock = expectOk(await lockDirectory(toHostPath(dir.path)));
    expect(await lockElsewhere(dir.path)).toMatchObject({ type: 'busy' });
    expect(await lockElsewhere(dir.path, { PATH: '' })).toMatchObject({ type: 'busy' });
  });

  it('holds between processes of which one cannot run flock(1)', async () => {
    await using dir = await tempDir();
    await using _lock = expectOk(await lockDirectory(toHostPath(dir.path)));
    expect(await lockElsewhere(dir.path, { PATH: '' })).toMatchObject({ type: 'busy' });
  });

  it('is told of the directory and its lock file by any name, as long as it is held', async () => {
    await using dir = await tempDir();
    const [held, alias] = [toHostPath(join(dir.path, 'held')), join(dir.path, 'alias')];
    await mkdir(held);
    const lock = expectOk(await lockDirectory(held));
    await link(join(held, 'owner.lock'), alias);
    const at = (path: string) => heldDirectory(lstatSync(path, { bigint: true }));
    expect([held, alias, dir.path, join(held, 'owner.pid')].map(at)).toEqual([
      held,
      held,
      undefined,
      undefined,
    ]);
    await lock[Symbol.asyncDispose]();
    expect([held, alias].map(at)).toEqual([undefined, undefined]);
  });
});

describe('a host command', () => {
  it('gives its output, or an error with what it printed', async () => {
    expect(expectOk(await runCommand('echo', ['a b']))).toBe('a b\n');
    const error = expectErr(await runCommand('sh', ['-c', 'echo why >&2; exit 3']));
    expect(error).toMatchObject({ type: 'failed', exitCode: 3, stderr: 'why\n' });
    expect(error).toHaveProperty('message', '"sh -c echo why >&2; exit 3" exited with 3: why');
  });

  it('that is not installed is an error that names it', async () => {
    expect(expectErr(await runCommand('no-such-tool', ['-v']))).toMatchObject({
      type: 'failed',
      message: '"no-such-tool" is not installed or not on the PATH (needed for: no-such-tool -v)',
    });
  });

  it('is gone when its abort is told', async () => {
    const stop = new AbortController();
    const sleeping = runCommand('sleep', ['100'], { signal: stop.signal });
    stop.abort(new Error('enough'));
    expect(expectErr(await sleeping)).toMatchObject({ type: 'cancelled', reason: new Error('enough') });
  });
});

/** What another process is told that wants the lock. */
async function lockElsewhere(path: string, env: NodeJS.ProcessEnv = process.env): Promise<unknown> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', lockScript(path)], { env });
  return JSON.parse(stdout);
}

function lockScript(path: string): string {
  const source = new URL('../../src/backend/index.ts', import.meta.url);
  return `import { lockDirectory } from ${JSON.stringify(source.href)};
    const lock = await lockDirectory(${JSON.stringify(path)}); console.log(JSON.stringify(lock.isErr() ? lock.error : 'locked'))`;
}
