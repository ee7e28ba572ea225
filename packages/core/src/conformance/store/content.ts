import { hash } from 'node:crypto';
import {
  appendFile,
  chmod,
  link,
  mkdir,
  open,
  readFile,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type StepKey, toCacheId } from '../../backend/names.ts';
import { hostTool } from '../host-tool.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { describeTree } from './describe-tree.ts';
import { storePromises as promises, type StorePromise } from './promises.ts';
import { type Change, isRoot, key, mounted, type Scene, type StoreTest } from './scene.ts';

/** What any user can put into a file system survives a save and two copies (V8). */
export function contentTests(test: StoreTest): void {
  test('keeps modes, with setuid, setgid and sticky bits', (scene) =>
    survives(scene, promises.modes, async (path) => {
      // Nobody but root can copy a file that he may not read.
      for (const mode of [0o4755, 0o2755, 0o1777, 0o444, isRoot ? 0o000 : 0o400]) {
        await writeFile(join(path, `f${mode.toString(8)}`), '');
        await chmod(join(path, `f${mode.toString(8)}`), mode);
      }
      await mkdir(join(path, 'tmp'));
      await chmod(join(path, 'tmp'), 0o1777);
    }));
  test('keeps modes of directories and pipes, with setuid, setgid and sticky bits', (scene) =>
    survives(scene, promises.modes, async (path) => {
      for (const mode of [0o7755, 0o4700, 0o2750, 0o1733]) {
        await mkdir(join(path, `d${mode.toString(8)}`));
        await chmod(join(path, `d${mode.toString(8)}`), mode);
        await hostTool('mkfifo', [join(path, `p${mode.toString(8)}`)]);
        await chmod(join(path, `p${mode.toString(8)}`), mode);
      }
    }));
  test('keeps files of any size, to the last byte', (scene) =>
    survives(scene, promises.contents, async (path) => {
      for (const size of SIZES) await writeFile(join(path, `${size}`), noise(size));
    }));
  test('saves what was written though size and time are as before', async (scene) => {
    await scene.save(key(1), (path) => writeAt(path, 'before'));
    await scene.save(key(2), (path) => writeAt(path, 'after!'), key(1));
    const textOf = (at: StepKey) => scene.look(at, (path) => readFile(join(path, 'file'), 'utf8'));
    keepsEqual(promises.writtenSaved, await textOf(key(2)), 'after!');
    keepsEqual(promises.immutable, await textOf(key(1)), 'before');
  });
  test('keeps the mode and the times of the volume itself', (scene) =>
    survives(scene, promises.volumeMode, async (path) => {
      await chmod(path, 0o2750);
      await utimes(path, 1_000_000_000, 1_000_000_000.5);
    }));
  test('keeps symbolic links as they are: absolute, dangling, circular', (scene) =>
    survives(scene, promises.symlinks, async (path) => {
      await symlink('/etc/passwd', join(path, 'absolute'));
      await symlink('nowhere/at/all', join(path, 'dangling'));
      await symlink('circle', join(path, 'circle'));
      await symlink('../../../..', join(path, 'up'));
      // XFS has room for 1,024 bytes.
      await symlink('x'.repeat(1000), join(path, 'long'));
    }));
  test('keeps times to the nanosecond, of files, directories and links', (scene) =>
    survives(scene, promises.times, async (path) => {
      await mkdir(join(path, 'dir'));
      await writeFile(join(path, 'dir/file'), '');
      await symlink('file', join(path, 'dir/link'));
      for (const name of ['dir/file', 'dir/link', 'dir'])
        await setTime(join(path, name), '1234567890.123456789');
      await writeFile(join(path, 'old'), '');
      await setTime(join(path, 'old'), '-1.5');
      await writeFile(join(path, 'far'), '');
      await setTime(join(path, 'far'), '4400000000.000000001');
      await hostTool('mkfifo', [join(path, 'pipe')]);
      await setTime(join(path, 'pipe'), '1234567890.987654321');
    }));
  linkTests(test);
  test('keeps a named pipe', (scene) =>
    survives(scene, promises.pipes, (path) => hostTool('mkfifo', ['-m', '640', join(path, 'pipe')])));
  test('keeps a socket', (scene) => survives(scene, promises.sockets, makeSocket));
  test('keeps holes as holes', async (scene) => {
    await scene.save(key(1), makeSparseFile);
    await scene.save(key(2), async () => {}, key(1));
    for (const at of [key(1), key(2)]) await scene.look(at, (path) => checkSparseFile(path, promises.holes));
  });
  test('keeps holes as holes in a cache', async (scene) => {
    await scene.publish(toCacheId('apt'), makeSparseFile);
    await using copy = await scene.checkOut(toCacheId('apt'));
    await mounted(copy.volume, (path) => checkSparseFile(path, promises.newestCache));
  });
}

function linkTests(test: StoreTest): void {
  test('keeps names that are one file, and only those', (scene) =>
    survives(scene, promises.hardLinks, async (path) => {
      await mkdir(join(path, 'dir'));
      await writeFile(join(path, 'one'), 'same');
      await writeFile(join(path, 'apart'), 'same');
      await link(join(path, 'one'), join(path, 'dir/two'));
      await link(join(path, 'one'), join(path, 'three'));
    }));
  test('shows through every name of a file what a child wrote through one of them', async (scene) => {
    await scene.save(key(1), async (path) => {
      await writeFile(join(path, 'a'), 'before');
      await link(join(path, 'a'), join(path, 'b'));
    });
    await scene.save(key(2), (path) => appendFile(join(path, 'a'), ' and after'), key(1));
    const text = await scene.look(key(2), (path) => readFile(join(path, 'b'), 'utf8'));
    keepsEqual(promises.hardLinks, text, 'before and after');
    keepsEqual(
      promises.immutable,
      await scene.look(key(1), (path) => readFile(join(path, 'b'), 'utf8')),
      'before',
    );
  });
  test('tells two files of one content apart after one of them was replaced', async (scene) => {
    await scene.save(key(1), async (path) => {
      await writeFile(join(path, 'a'), 'x');
      await link(join(path, 'a'), join(path, 'b'));
    });
    await scene.save(key(2), replaceByCopy, key(1));
    await scene.save(key(3), (path) => writeFile(join(path, 'a'), 'y'), key(2));
    const text = await scene.look(key(3), (path) => readFile(join(path, 'b'), 'utf8'));
    keepsEqual(promises.hardLinks, text, 'x');
  });
}

/** Saves what `make` made, and checks that it is the same there, in a child and in a child of the child. */
export async function survives(scene: Scene, promise: StorePromise, make: Change): Promise<void> {
  let made: readonly string[] = [];
  await scene.save(key(1), async (path) => {
    await make(path);
    made = await describeTree(path);
  });
  keepsEqual(promise, await scene.tree(key(1)), made);
  await scene.save(key(2), async () => {}, key(1));
  keepsEqual(promise, await scene.tree(key(2)), made);
  await scene.reopen();
  await scene.save(key(3), async () => {}, key(2));
  keepsEqual(promise, await scene.tree(key(3)), made);
}

const SIZES = [0, 1, 511, 512, 4095, 4096, 4097, 65_535, 65_537, 1024 * 1024 + 1];

/** Bytes without a pattern, always the same. */
function noise(size: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, at) => hash('sha256', `${at}`, 'buffer'));
  return Buffer.concat(blocks).subarray(0, size);
}

async function writeAt(path: string, text: string): Promise<void> {
  await writeFile(join(path, 'file'), text);
  await utimes(join(path, 'file'), 1_234_567_890, 1_234_567_890);
}

function setTime(path: string, seconds: string): Promise<string> {
  return hostTool('touch', ['--no-dereference', `--date=@${seconds}`, path]);
}

/** The same content, mode, owner and times, but a file of its own. */
function replaceByCopy(path: string): Promise<string> {
  return hostTool('cp', ['-pT', '--remove-destination', join(path, 'a'), join(path, 'b')]);
}

/** A program that was killed leaves its socket; one that ends itself deletes it, but not its other names. */
async function makeSocket(path: string): Promise<void> {
  await using directory = await open(path);
  // The address of a socket has 107 bytes at most.
  const short = process.platform === 'linux' ? `/proc/self/fd/${directory.fd}` : path;
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(`${short}/socket`, resolve);
  });
  await link(join(path, 'socket'), join(path, 'kept'));
  await new Promise((resolve) => server.close(resolve));
}

const MIB = 1024 * 1024;

async function makeSparseFile(path: string): Promise<void> {
  await using file = await open(join(path, 'sparse'), 'w');
  await file.write('start', 0);
  await file.write('end', 64 * MIB);
}

async function checkSparseFile(path: string, promise: StorePromise): Promise<void> {
  const stats = await stat(join(path, 'sparse'));
  keepsEqual(promise, stats.size, 64 * MIB + 3);
  keeps(promise, stats.blocks * 512 < MIB, `${stats.blocks} blocks are in use for 8 bytes`);
  await using file = await open(join(path, 'sparse'));
  const { buffer } = await file.read({ buffer: Buffer.alloc(3), position: 64 * MIB });
  keepsEqual(promise, buffer.toString(), 'end');
}
