import { describe, expect, it } from 'vitest';
import { isBelow, splitPath, TREE_ROOT, toTreePath } from '../../src/plan/tree-path.ts';

describe('a place in a tree', () => {
  it.each([
    ['a', '', 'a'],
    ['a/b', 'a', 'b'],
    ['a/b/c', 'a/b', 'c'],
  ])('"%s" is in the directory "%s", where its name is "%s"', (path, directory, name) => {
    expect(splitPath(toTreePath(path))).toEqual({ directory, name });
  });

  it('that is the root is in no directory', () => {
    expect(splitPath(TREE_ROOT)).toBeUndefined();
  });

  it.each([
    ['a', '', true],
    ['a/b', '', true],
    ['a/b', 'a', true],
    ['a/b/c', 'a', true],
    ['', '', false],
    ['a', 'a', false],
    ['', 'a', false],
    ['ab', 'a', false],
    ['b/a', 'a', false],
  ])('"%s" below "%s": %s', (path, directory, is) => {
    expect(isBelow(toTreePath(path), toTreePath(directory))).toBe(is);
  });
});
