import { ok, type Result } from 'neverthrow';
import { type BytePath, toCharacters } from '../backend/byte-path.ts';
import { type ExcludeRule, isExcluded, parseExclude } from '../spec/exclude-rules.ts';
import { type IgnoreFile, IgnoreFiles, type Verdict } from './ignore-files.ts';
import type { SourceError } from './source-error.ts';
import { TREE_ROOT, type TreePath, within } from './tree-path.ts';

/** Says what of one source is copied: all but what the copy excludes, or an ignore file of its tree. */
export class SourceFilter {
  readonly #rules: readonly ExcludeRule[];
  readonly #ignore: IgnoreFiles | undefined;

  constructor(exclude: readonly string[], ignore: readonly IgnoreFile[]) {
    this.#rules = exclude.map(checked);
    this.#ignore = ignore.length === 0 ? undefined : new IgnoreFiles(ignore);
  }

  /** @param directory - From the root of the tree; each is entered before anything in it is asked for. */
  enter(directory: TreePath, host: BytePath): Result<void, SourceError> {
    return this.#ignore?.enter(directory, host) ?? ok();
  }

  /**
   * @param source - Where the source is in its tree: the patterns of a copy begin there, and it is not theirs to leave
   * it out. Ignore files leave out any place.
   * @param path - Below the source.
   */
  verdict(source: TreePath, path: TreePath, isDirectory: boolean): Verdict {
    const hasRules = this.#rules.length > 0 && path !== TREE_ROOT;
    if (hasRules && isExcluded(this.#rules, toCharacters(path), { isDirectory })) return 'leave';
    const place = within(source, path);
    return place === TREE_ROOT ? 'keep' : (this.#ignore?.verdict(place, isDirectory) ?? 'keep');
  }
}

function checked(pattern: string): ExcludeRule {
  const rule = parseExclude(pattern);
  if (rule.isErr()) throw new Error(`the spec was not checked: "${pattern}" ${rule.error}`);
  return rule.value;
}
