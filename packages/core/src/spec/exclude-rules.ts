import { err, type Result } from 'neverthrow';
import { Glob } from './glob.ts';

/** A pattern of `exclude`, or a line of a `.gitignore`: https://git-scm.com/docs/gitignore#_pattern_format */
export interface ExcludeRule {
  /** It begins with `!`: what it matches is not left out after all. */
  readonly takesBack: boolean;
  /** It ends with `/`: only directories match. */
  readonly directoriesOnly: boolean;
  /** It has another `/`: it is held against the whole path, and not against the last name alone. */
  readonly wholePath: boolean;
  readonly glob: Glob;
}

/** More than the longest path, so that nothing that could match is refused. */
const LONGEST = 4096;

/**
 * A pattern of `exclude`. What could not match anything is an error, where git would let it be without effect.
 *
 * @returns What is wrong with it, as the end of a sentence that begins with the pattern.
 */
export function parseExclude(text: string): Result<ExcludeRule, string> {
  const names = text.replace(/^!/, '').replace(/^\//, '').replace(/\/$/, '').split('/');
  if (names.includes('')) return err('excludes nothing: a name in it is empty');
  if (names.includes('.') || names.includes('..')) {
    return err('excludes nothing: a pattern begins at each source, and has no "." or ".." in it');
  }
  return parseRule(text);
}

/** As {@link parseExclude}, for all that git takes. */
export function parseRule(text: string): Result<ExcludeRule, string> {
  if (text.length > LONGEST) return err(`is longer than ${LONGEST} characters, as no path is`);
  const takesBack = text.startsWith('!');
  const body = takesBack ? text.slice(1) : text;
  const directoriesOnly = body.endsWith('/');
  const path = directoriesOnly ? body.slice(0, -1) : body;
  const wholePath = path.includes('/');
  return Glob.parse(path.replace(/^\//, ''), 'git').map((glob) => ({
    takesBack,
    directoriesOnly,
    wholePath,
    glob,
  }));
}

/**
 * Whether the last rule that matches leaves the path out; undefined where none does. What is in a directory that is
 * left out is left out with it, which is the caller's to see to.
 *
 * @param path - From where the rules begin, and not empty; in characters if the patterns are, in bytes if they are.
 */
export function isExcluded(
  rules: readonly ExcludeRule[],
  path: string,
  { isDirectory }: { readonly isDirectory: boolean },
): boolean | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const rule = rules.findLast(
    ({ directoriesOnly, wholePath, glob }) =>
      (isDirectory || !directoriesOnly) && glob.matches(wholePath ? path : name),
  );
  return rule && !rule.takesBack;
}
