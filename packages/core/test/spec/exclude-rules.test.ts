import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type ExcludeRule, isExcluded, parseExclude } from '../../src/spec/exclude-rules.ts';
import { Glob } from '../../src/spec/glob.ts';
import { parseSpec } from '../../src/spec/index.ts';
import { told } from './told.ts';

function rules(...patterns: readonly string[]): ExcludeRule[] {
  return patterns.map((pattern) => expectOk(parseExclude(pattern)));
}

/** Of some files, those that the patterns match. */
function matched(pattern: string, ...paths: readonly string[]): string[] {
  return paths.filter((path) => isExcluded(rules(pattern), path, { isDirectory: false }));
}

describe('a pattern of exclude', () => {
  it('without a slash or a wildcard is a name, at any depth', () => {
    expect(matched('a.b', 'a.b', 'x/a.b', 'x/y/a.b', 'a.b/c', 'axb', 'a.bb', 'A.b')).toEqual([
      ...['a.b', 'x/a.b', 'x/y/a.b'],
    ]);
  });

  it('without a slash has wildcards for the name alone, which may begin with a dot', () => {
    const paths = ['.o', 'a.o', 'x/b.o', 'a.oo', 'a.o/x', 'ü.o'];
    expect(matched('*.o', ...paths)).toEqual(['.o', 'a.o', 'x/b.o', 'ü.o']);
    expect(matched('?.o', ...paths, '😀.o')).toEqual(['a.o', 'x/b.o', 'ü.o', '😀.o']);
    expect(matched('[a-c].o', ...paths)).toEqual(['a.o', 'x/b.o']);
    expect(matched('[!a-c].o', ...paths)).toEqual(['ü.o']);
    expect(matched('[^[:alpha:]]*', '1', 'a', '_a', 'x/2')).toEqual(['1', '_a', 'x/2']);
    expect(matched('[]a-]', ']', 'a', '-', 'b')).toEqual([']', 'a', '-']);
    expect(matched('*', 'a', '.a', 'a/b')).toEqual(['a', '.a', 'a/b']);
  });

  it('with a slash is a path from the source', () => {
    expect(matched('/a', 'a', 'x/a')).toEqual(['a']);
    expect(matched('a/*.o', 'a/b.o', 'x/a/b.o', 'a/b/c.o')).toEqual(['a/b.o']);
    expect(matched('a/b', 'a/b', 'x/a/b', 'ab')).toEqual(['a/b']);
  });

  it('with "**" stands for any directories', () => {
    expect(matched('**/b', 'b', 'a/b', 'a/x/b', 'ab')).toEqual(['b', 'a/b', 'a/x/b']);
    expect(matched('a/**', 'a', 'a/b', 'a/b/c', 'ab')).toEqual(['a/b', 'a/b/c']);
    expect(matched('a/**/b', 'a/b', 'a/x/b', 'a/x/y/b', 'a/xb', 'b')).toEqual(['a/b', 'a/x/b', 'a/x/y/b']);
    expect(matched('/**', 'a', 'a/b')).toEqual(['a', 'a/b']);
    expect(matched('a/x**y', 'a/xy', 'a/xzy', 'a/x/y')).toEqual(['a/xy', 'a/xzy']);
  });

  it('that ends with a slash matches directories only', () => {
    const [rule] = rules('build/');
    for (const isDirectory of [true, false]) {
      expect(isExcluded([rule as ExcludeRule], 'x/build', { isDirectory })).toBe(isDirectory || undefined);
    }
  });

  it('that begins with "!" takes back, and the last one that matches counts', () => {
    const all = rules('*.o', '!keep.o', 'x/keep.o');
    const excluded = (path: string) => isExcluded(all, path, { isDirectory: false });
    expect(['a.o', 'keep.o', 'y/keep.o', 'x/keep.o', 'a.c'].map(excluded)).toEqual([
      ...[true, false, false, true, undefined],
    ]);
  });

  it('has a backslash for a character that means nothing', () => {
    expect(matched('\\*', '*', 'a')).toEqual(['*']);
    expect(matched('\\!a', '!a', 'a')).toEqual(['!a']);
    expect(matched('[\\]x]', ']', 'x', '\\')).toEqual([']', 'x']);
  });

  it.each([
    ['a//b', 'excludes nothing: a name in it is empty'],
    ['/', 'excludes nothing: a name in it is empty'],
    ['!', 'excludes nothing: a name in it is empty'],
    ['..', 'excludes nothing: a pattern begins at each source, and has no "." or ".." in it'],
    ['./a', 'excludes nothing: a pattern begins at each source, and has no "." or ".." in it'],
    ['a/../b', 'excludes nothing: a pattern begins at each source, and has no "." or ".." in it'],
    ['[ab', 'has a "[" without its "]"; write "\\[" for the character'],
    ['[a-', 'has a "[" without its "]"; write "\\[" for the character'],
    ['[[:alpha:]', 'has a "[" without its "]"; write "\\[" for the character'],
    ['[z-a]', 'has the range "z-a", which is empty'],
    ['a\\', 'ends with a backslash, which takes the meaning from what follows it'],
  ])('that cannot match, such as "%s", is an error with its place', (pattern, wrong) => {
    const text = `((from a) (copy (src a)\n (dst /) (exclude b ${JSON.stringify(pattern)})))`;
    expect(told(text)).toBe(`2:21 the pattern "${pattern.replaceAll('\\', '\\\\')}" ${wrong}`);
  });

  it('is an error if it is longer than any path, names a class that there is not, or takes nothing back', () => {
    expect(expectErr(parseExclude('x'.repeat(4097)))).toBe('is longer than 4096 characters, as no path is');
    expect(expectErr(parseExclude('[[:vowel:]]'))).toContain(
      'has "[:vowel", which is no class of characters',
    );
    const text = '((from a) (copy (src a) (dst /) (exclude !a b)))';
    expect(told(text)).toBe('1:42 the pattern "!a" takes nothing back: nothing before it is excluded');
    expectOk(parseSpec('((from a) (copy (src a) (dst /) (exclude b !a)))'));
  });
});

describe('matching a pattern', () => {
  it('takes no longer for patterns that keep regular expressions busy for hours', () => {
    const start = performance.now();
    const stars = expectOk(Glob.parse(`${'*a'.repeat(60)}*b`, 'git'));
    expect(stars.matches('a'.repeat(255))).toBe(false);
    const directories = expectOk(Glob.parse(`${'**/a/'.repeat(200)}b`, 'git'));
    expect(directories.matches('a/'.repeat(1000))).toBe(false);
    const docker = expectOk(Glob.parse(`${'**a'.repeat(100)}b`, 'docker'));
    expect(docker.matches('a/'.repeat(1000))).toBe(false);
    expect(performance.now() - start).toBeLessThan(30_000);
  });
});
