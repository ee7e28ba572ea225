import { closeSync, constants, lstatSync, openSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { type BytePath, toCharacters, toFsPath, toReadable } from '../backend/byte-path.ts';
import { heldDirectory } from '../backend/held-directories.ts';
import { type ExcludeRule, isExcluded, parseRule } from '../spec/exclude-rules.ts';
import { Glob } from '../spec/glob.ts';
import { invalid, readable, type SourceError } from './source-error.ts';
import { splitPath, TREE_ROOT, type TreePath, within } from './tree-path.ts';

/** A file in a context that says what of the context is left out. Each is read as its own tool reads it. */
export type IgnoreFile = '.dockerignore' | '.gitignore';

/** All there are. */
export const IGNORE_FILES: readonly IgnoreFile[] = ['.dockerignore', '.gitignore'];

/** What becomes of a thing in a tree. `look`: a directory that is kept only if something below it is. */
export type Verdict = 'keep' | 'leave' | 'look';

interface DockerRule {
  readonly takesBack: boolean;
  readonly glob: Glob;
}

/** So long a file is read; anything longer is not an ignore file. */
const LONGEST = 1024n * 1024n;

/** What the ignore files of one tree say, as far as its directories were entered. */
export class IgnoreFiles {
  readonly #names: ReadonlySet<IgnoreFile>;
  #docker: readonly DockerRule[] = [];
  /** By the directories that they are in. */
  readonly #git = new Map<TreePath, readonly ExcludeRule[]>();

  constructor(names: readonly IgnoreFile[]) {
    this.#names = new Set(names);
  }

  /**
   * Reads what is in a directory: a `.gitignore` anywhere, a `.dockerignore` in the root. Directories are entered from
   * the root down, and before anything in them is asked for.
   */
  enter(directory: TreePath, host: BytePath): Result<void, SourceError> {
    if (this.#names.has('.gitignore')) {
      const text = readIgnoreFile(directory, { host, name: '.gitignore' });
      if (text.isErr()) return err(text.error);
      if (text.value !== undefined) this.#git.set(directory, parseGitignore(text.value));
    }
    if (!this.#names.has('.dockerignore') || directory !== TREE_ROOT) return ok();
    const text = readIgnoreFile(directory, { host, name: '.dockerignore' });
    if (text.isErr()) return err(text.error);
    const rules = parseDockerignore(toCharacters(text.value ?? ''));
    if (rules.isErr()) return err(rules.error);
    this.#docker = rules.value;
    return ok();
  }

  /** @param path - From the root of the tree, and not the root. */
  verdict(path: TreePath, isDirectory: boolean): Verdict {
    if (this.#isGitignored(path, isDirectory)) return 'leave';
    if (this.#docker.length === 0) return 'keep';
    return dockerVerdict(this.#docker, toCharacters(path), isDirectory);
  }

  /** The file that is nearest to a thing, and says anything of it, has the last word. Git matches bytes: `é` is two `?`. */
  #isGitignored(path: TreePath, isDirectory: boolean): boolean {
    if (this.#git.size === 0) return false;
    for (let at = splitPath(path); at !== undefined; at = splitPath(at.directory)) {
      const { directory } = at;
      const rules = this.#git.get(directory) ?? [];
      const below = directory === TREE_ROOT ? path : path.slice(directory.length + 1);
      const verdict = isExcluded(rules, below, { isDirectory });
      if (verdict !== undefined) return verdict;
    }
    return false;
  }
}

/** https://github.com/moby/patternmatcher: a rule that matches a directory holds for all that is in it. */
function dockerVerdict(rules: readonly DockerRule[], path: string, isDirectory: boolean): Verdict {
  let isOut = false;
  for (const { takesBack, glob } of rules) {
    if (takesBack === isOut && glob.matchesPrefix(path)) isOut = !takesBack;
  }
  if (!isOut) return 'keep';
  const mayComeBack =
    isDirectory && rules.some(({ takesBack, glob }) => takesBack && glob.canMatchBelow(path));
  return mayComeBack ? 'look' : 'leave';
}

/** @returns Its bytes; undefined where there is none. */
function readIgnoreFile(
  directory: TreePath,
  { host, name }: { readonly host: BytePath; readonly name: IgnoreFile },
): Result<BytePath | undefined, SourceError> {
  const shown = toReadable(within(directory, name));
  const file = toFsPath(`${host}/${name}`);
  return readable(shown, () => {
    const stat = lstatSync(file, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return ok(undefined);
    if (!stat.isFile() || stat.size > LONGEST || heldDirectory(stat) !== undefined) {
      return invalid(
        shown,
        `"${shown}" cannot be read as an ignore file: it is not a plain file of at most 1 MiB`,
      );
    }
    const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      return ok(readFileSync(fd, 'latin1').replace(/^\xef\xbb\xbf/, ''));
    } finally {
      closeSync(fd);
    }
  });
}

/** Lines that mean nothing are left out, as git does: a pattern that is no pattern matches nothing. */
function parseGitignore(text: string): ExcludeRule[] {
  return linesOf(text)
    .filter((line) => !line.startsWith('#'))
    .map(trimEnd)
    .filter((line) => line !== '')
    .flatMap((line) => parseRule(line).unwrapOr([]));
}

/** Without spaces at its end, but for one that a backslash takes the meaning from. */
function trimEnd(line: string): string {
  let end = line.length;
  while (line[end - 1] === ' ') end -= 1;
  let start = end;
  while (line[start - 1] === '\\') start -= 1;
  return line.slice(0, (end - start) % 2 === 1 ? end + 1 : end);
}

/** https://github.com/moby/patternmatcher/blob/main/ignorefile/ignorefile.go */
function parseDockerignore(text: string): Result<DockerRule[], SourceError> {
  const rules: DockerRule[] = [];
  for (const [i, line] of linesOf(text).entries()) {
    const trimmed = line.trim();
    if (line.startsWith('#') || trimmed === '') continue;
    const takesBack = trimmed.startsWith('!');
    const pattern = takesBack ? trimmed.slice(1).trim() : trimmed;
    const wrong = (why: string) =>
      invalid('.dockerignore', `".dockerignore", line ${i + 1}: the pattern "${trimmed}" ${why}`);
    if (pattern === '') return wrong('takes nothing back');
    const glob = Glob.parse(
      posix
        .normalize(pattern)
        .replace(/(?<=.)\/$/, '')
        .replace(/^\/(?=.)/, ''),
      'docker',
    );
    if (glob.isErr()) return wrong(glob.error);
    rules.push({ takesBack, glob: glob.value });
  }
  return ok(rules);
}

function linesOf(text: string): string[] {
  return text.split('\n').map((line) => line.replace(/\r$/, ''));
}
