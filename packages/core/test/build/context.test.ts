import { chmod, link, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { lockDirectory } from '../../src/backend/index.ts';
import { toHostPath } from '../../src/index.ts';
import { built, openWorld, readResult, request, writeTree } from './world.ts';

describe('the context', () => {
  it('changes the key with contents, names, links and the executable bit, not with times [K6] [C15]', async () => {
    await using world = await openWorld({});
    const context = toHostPath(await mkdtemp(join(world.dir, 'context-')));
    const spec = '((from base) (copy (src .) (dst /src/)))';
    await writeTree(context, { 'a.c': 'int main;', 'sub/b.c': 'b' });
    const keys = [await built(world.builder, spec, { context })];
    await utimes(join(context, 'a.c'), 1, 1);
    expect(await built(world.builder, spec, { context })).toBe(keys[0]);
    await chmod(join(context, 'a.c'), 0o755);
    keys.push(await built(world.builder, spec, { context }));
    await symlink('a.c', join(context, 'link'));
    keys.push(await built(world.builder, spec, { context }));
    await writeFile(join(context, 'sub/b.c'), 'c');
    keys.push(await built(world.builder, spec, { context }));
    await rm(join(context, 'sub'), { recursive: true });
    keys.push(await built(world.builder, spec, { context }));
    expect(new Set(keys).size).toBe(5);
  });

  it('that changes after the key was made is an error, and nothing is saved under that key [K5]', async () => {
    await using world = await openWorld({});
    const context = toHostPath(join(world.dir, 'context'));
    await writeTree(context, { a: 'before' });
    await built(world.builder, '((from base))');
    const prepare = world.store.prepare.bind(world.store);
    world.store.prepare = async (asked) => {
      await writeTree(context, { a: 'after!' });
      return prepare(asked);
    };
    const spec = '((from base) (copy (src a) (dst /a)))';
    expect(expectErr(await world.builder.build(request(spec, { context })))).toMatchObject({
      type: 'invalid-context',
      message: expect.stringContaining('changed while'),
    });
    expect(expectOk(await world.store.list())).toHaveLength(1);
    await using result = expectOk(await world.builder.build(request(spec, { context })));
    expect(await readResult(result, 'a')).toBe('after!');
  });

  it('that lacks a file is an error that names it', async () => {
    await using world = await openWorld({});
    const context = toHostPath(world.dir);
    const error = expectErr(
      await world.builder.build(request('((from base) (copy (src x/y) (dst /y)))', { context })),
    );
    expect(error).toMatchObject({
      type: 'invalid-context',
      message: `"x" of "x/y" was not found (copying from the context ${world.dir})`,
    });
  });

  it('must not hold the state of the builder itself [B10]', async () => {
    await using world = await openWorld({});
    const context = toHostPath(world.dir);
    const error = expectErr(
      await world.builder.build(request('((from base) (copy (src .) (dst /x)))', { context })),
    );
    expect(error).toMatchObject({ type: 'invalid-context' });
    expect(error).toHaveProperty('message', expect.stringContaining('holds the state of a running builder'));
  });

  it.each([
    ['below the context', '.', '.'],
    ['that is the context', 'store', '.'],
    ['that is a source', '.', 'store'],
    ['with a source in it', '.', 'store/result'],
    ['whose lock file has another name', 'links', '.'],
  ])('must not hold an open store %s', async (_, where, src) => {
    await using world = await openWorld({});
    const store = toHostPath(join(world.dir, 'context/store'));
    await mkdir(join(store, 'result'), { recursive: true });
    await mkdir(join(world.dir, 'context/links'));
    await using _lock = expectOk(await lockDirectory(store));
    await link(join(store, 'owner.lock'), join(world.dir, 'context/links/lock'));
    const context = toHostPath(join(world.dir, 'context', where));
    const spec = `((from base) (copy (src ${src}) (dst /x)))`;
    const error = expectErr(await world.builder.build(request(spec, { context })));
    expect(error).toMatchObject({ type: 'invalid-context' });
    expect(error).toHaveProperty(
      'message',
      expect.stringContaining(`fetcher (${store}) and cannot be copied`),
    );
  });
});
