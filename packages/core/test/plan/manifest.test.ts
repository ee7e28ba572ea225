import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, lstatSync, rmSync } from 'node:fs';
import { appendFile, chmod, mkdir, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { HashCache } from '../../src/backend/hash-cache.ts';
import { toHostPath } from '../../src/index.ts';
import { type FileNames, hostFiles } from '../../src/plan/file-names.ts';
import { isSameFile, manifestOf, openSeen } from '../../src/plan/manifest.ts';
import { type SourceEntry, type SourceTree, walkSource } from '../../src/plan/source-walk.ts';
import { writeTree } from '../build/world.ts';
import { work } from './busy.ts';

const MEBIBYTE = 1024 * 1024;

describe('the digest of what a copy would write', () => {
  it('is the SHA-256 of a line for each source, and for each thing in it what it is', async () => {
    await using place = await openPlace();
    await writeTree(place.path, { 'd/file': 'text', 'd/run': 'code', 'd/sub/inner': '' });
    await chmod(join(place.path, 'd/run'), 0o744);
    await mkdir(join(place.path, 'd/void'));
    await symlink('../any where', join(place.path, 'd/link'));
    await writeFile(Buffer.from(`${place.path}/d/\xff`, 'latin1'), 'odd');
    expect(await place.digest(['d/', 'd/file'])).toBe(
      sha256(
        'snapstep/manifest/1\n',
        line('source', 'd'),
        line('directory', ''),
        line('file', 'file', sha256('text')),
        line('link', 'link', '../any where'),
        line('executable', 'run', sha256('code')),
        line('directory', 'sub'),
        line('file', 'sub/inner', sha256('')),
        line('directory', 'void'),
        line('file', '\xff', sha256('odd')),
        line('source', 'file'),
        line('file', '', sha256('text')),
      ),
    );
  });

  it('has no names of sources where these are not kept', async () => {
    await using place = await openPlace();
    await writeTree(place.path, { one: 'text' });
    const expected = sha256('snapstep/manifest/1\n', line('source', ''), line('file', '', sha256('text')));
    expect(await place.digest(['one'], { named: false })).toBe(expected);
  });

  it.each([0, 1, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1, 3 * MEBIBYTE])(
    'has every byte of a file of %i bytes',
    async (size) => {
      await using place = await openPlace();
      const content = Buffer.alloc(size, 'some bytes that come again');
      await writeFile(join(place.path, 'f'), content);
      const expected = sha256(
        'snapstep/manifest/1\n',
        line('source', 'f'),
        line('file', '', sha256(content)),
      );
      expect(await place.digest(['f'])).toBe(expected);
    },
  );

  it('takes no notice of times, of modes other than who may execute, and of where it all is', async () => {
    await using place = await openPlace();
    await writeTree(place.path, { 'a/file': 'text', 'b/file': 'text' });
    const before = await place.digest(['.']);
    await utimes(join(place.path, 'a/file'), 1, 1);
    await chmod(join(place.path, 'a/file'), 0o600);
    await chmod(join(place.path, 'a'), 0o700);
    expect(await place.digest(['.'])).toBe(before);
    expect(await place.digest(['a'], { named: false })).toBe(await place.digest(['b'], { named: false }));
    for (const mode of [0o700, 0o610, 0o601]) {
      await chmod(join(place.path, 'a/file'), mode);
      expect(await place.digest(['.'])).not.toBe(before);
    }
  });

  it('is made again, and not remembered, where a file has changed since', async () => {
    await using place = await openPlace();
    await writeTree(place.path, { f: 'text' });
    const before = await place.digest(['f']);
    await writeFile(join(place.path, 'f'), 'else');
    expect(await place.digest(['f'])).not.toBe(before);
  });

  it('is made of remembered hashes where a file is as it was, without opening it', async () => {
    await using place = await openPlace();
    await writeTree(place.path, { f: 'text' });
    const [entry] = place.entries('f');
    if (entry === undefined) throw new Error('there is a file');
    const name = place.names(entry);
    place.hashes.remember(name, { stat: entry.stat, sha256: 'known', readAt: Date.now() + 10_000 });
    place.hashes.flush();
    const expected = sha256('snapstep/manifest/1\n', line('source', 'f'), line('file', '', 'known'));
    expect(await place.digest(['f'])).toBe(expected);
  });

  it('fails, with the path, for a source that is not there, and has no file open then', async () => {
    await using place = await openPlace();
    await writeTree(place.path, { f: 'text' });
    const before = (await readdir('/dev/fd')).length;
    expect(expectErr(await place.manifest(['f', 'g']))).toMatchObject({
      type: 'invalid-source',
      message: '"g" of "g" was not found',
    });
    expect((await readdir('/dev/fd')).length).toBe(before);
  });

  it('fails for a file that grows while it is read', async () => {
    await using place = await openPlace();
    const file = join(place.path, 'f');
    await writeFile(file, Buffer.alloc(64 * MEBIBYTE));
    const made = place.manifest(['f']);
    await appendFile(file, 'more');
    expect(expectErr(await made)).toEqual({
      type: 'invalid-source',
      path: file,
      message: `"${file}" changed while it was read`,
    });
  });

  it('fails for a file that goes away before it is opened', async () => {
    await using place = await openPlace();
    await writeTree(place.path, { f: 'text' });
    const names: FileNames = (entry) => {
      rmSync(entry.at);
      return place.names(entry);
    };
    expect(expectErr(await place.manifest(['f'], { names })).message).toMatch(
      /\/f" went away while it was read$/,
    );
  });

  it('throws the reason of an abort between two files', async () => {
    await using place = await openPlace();
    await writeTree(place.path, { f: 'text', g: 'text' });
    const stop = new AbortController();
    const opened: string[] = [];
    const names: FileNames = (entry) => {
      opened.push(entry.path);
      stop.abort(new Error('enough'));
      work(12);
      return place.names(entry);
    };
    await expect(place.manifest(['.'], { names, signal: stop.signal })).rejects.toThrow('enough');
    expect(opened).toEqual(['f']);
  });

  it('throws the reason of an abort in the middle of its work', async () => {
    await using place = await openPlace();
    await writeFile(join(place.path, 'f'), Buffer.alloc(64 * MEBIBYTE));
    const stop = new AbortController();
    const made = place.manifest(['f'], { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(made).rejects.toThrow('enough');
  });
});

describe('a file that was seen', () => {
  it('is opened as long as it is the same', async () => {
    await using place = await openPlace();
    await writeTree(place.path, { f: 'text' });
    using seen = place.seen('f');
    closeSync(expectOk(openSeen(seen.entry)));
  });

  it.each<readonly [what: string, change: (file: string) => Promise<unknown>]>([
    ['is written to', (file) => appendFile(file, 'more')],
    ['is replaced', (file) => writeFile(`${file}.new`, 'text').then(() => rename(`${file}.new`, file))],
  ])('and that %s since is not read, and not left open', async (_, change) => {
    await using place = await openPlace();
    await writeTree(place.path, { f: 'text' });
    using seen = place.seen('f');
    await change(join(place.path, 'f'));
    const before = (await readdir('/dev/fd')).length;
    const path = join(place.path, 'f');
    expect(expectErr(openSeen(seen.entry))).toEqual({
      type: 'invalid-source',
      path,
      message: `"${path}" changed while it was read`,
    });
    expect((await readdir('/dev/fd')).length).toBe(before);
  });

  it.each<readonly [what: string, put: (file: string) => Promise<unknown>, message: string]>([
    ['a link', (file) => symlink('/etc/hostname', file), 'cannot be read: ELOOP'],
    ['nothing', async () => {}, 'went away while it was read'],
  ])('and in whose place there is %s is not read', async (_, put, message) => {
    await using place = await openPlace();
    await writeTree(place.path, { f: 'text' });
    using seen = place.seen('f');
    await rm(join(place.path, 'f'));
    await put(join(place.path, 'f'));
    expect(expectErr(openSeen(seen.entry)).message).toContain(message);
  });

  it.each<keyof BigIntStats>(['ino', 'dev', 'size', 'mtimeNs', 'ctimeNs'])(
    'is another one where its %s is another',
    (field) => {
      const stat = lstatSync(import.meta.filename, { bigint: true });
      expect(isSameFile(stat, { ...stat } as BigIntStats)).toBe(true);
      const other = { ...stat, [field]: (stat[field] as bigint) + 1n } as BigIntStats;
      expect(isSameFile(stat, other)).toBe(false);
    },
  );
});

function line(...fields: readonly string[]): string {
  return `${fields.join('\0')}\0\n`;
}

function sha256(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
  return hash.digest('hex');
}

interface Options {
  readonly named?: boolean;
  readonly signal?: AbortSignal;
  readonly names?: FileNames;
}

async function openPlace() {
  const [dir, state] = [await tempDir(), await tempDir()];
  const hashes = HashCache.open(toHostPath(state.path));
  const tree: SourceTree = { root: toHostPath(dir.path), exclude: [] };
  const ownNames = hostFiles();
  const manifest = (
    src: readonly string[],
    { named = true, signal = new AbortController().signal, names = ownNames }: Options = {},
  ) => manifestOf({ ...tree, src, named, names }, { cache: hashes, signal });
  return {
    path: dir.path,
    hashes,
    names: ownNames,
    manifest,
    digest: async (src: readonly string[], options?: Options) => expectOk(await manifest(src, options)),
    /** The first entry, while the walk is there. */
    seen: (source: string): Disposable & { readonly entry: SourceEntry } => {
      const walk = walkSource(tree, source);
      const first = walk.next();
      if (first.done) throw new Error('there is a file');
      const entry = expectOk(first.value);
      return { entry, [Symbol.dispose]: () => void walk.return(undefined) };
    },
    entries: (source: string): SourceEntry[] => [...walkSource(tree, source)].map((entry) => expectOk(entry)),
    [Symbol.asyncDispose]: async () => {
      hashes[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
      await state[Symbol.asyncDispose]();
    },
  };
}
