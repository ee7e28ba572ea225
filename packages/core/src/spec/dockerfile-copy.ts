import { lose, type Sheet, type StageState } from './dockerfile-stage.ts';
import { escapeWord, isPlainInFlag, jsonForm, literalPattern } from './dockerfile-words.ts';
import { parseExclude } from './exclude-rules.ts';
import type { CopyOp, UserRef } from './spec.ts';
import { quote } from './suggest.ts';

/**
 * Writes one `COPY` for each source, with its whole destination: Docker copies the contents of a directory, so only
 * the full name gives the directory itself, and it is right for a file as well.
 */
export function writeCopy(op: CopyOp, state: StageState, sheet: Sheet): void {
  if (op.exclude.length > 0 && !sheet.buildkit) lose(sheet, op, 'nothing is excluded');
  const flags = [...owner(op, state.user, sheet), ...source(op, state)];
  for (const path of op.src) {
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    const excludes = sheet.buildkit ? excludeFlags(op, names, sheet) : [];
    const from = names.length > 0 ? literalPattern(names.join('/')) : '.';
    const into = op.dst.endsWith('/') ? `${op.dst}${names.at(-1) ?? ''}` : op.dst;
    sheet.lines.push(['COPY', ...flags, ...excludes, paths([from, into], sheet)].join(' '));
  }
}

function source({ from }: CopyOp, { stages }: StageState): string[] {
  return from === 'context' ? [] : [`--from=${stages.find(from.stage) ?? from.stage}`];
}

/** Docker gives what it copies to root, whatever `USER` says. */
function owner(op: CopyOp, user: UserRef | undefined, sheet: Sheet): string[] {
  if (user === undefined) return [];
  if ('uid' in user) return user.uid === 0 && user.gid === 0 ? [] : [`--chown=${user.uid}:${user.gid}`];
  if (user.name === 'root') return [];
  if (isPlainInFlag(user.name)) return [`--chown=${user.name}`];
  lose(sheet, op, `the files belong to root: a flag cannot hold the name ${quote(user.name)}`);
  return [];
}

function excludeFlags(op: CopyOp, names: readonly string[], sheet: Sheet): string[] {
  if (op.exclude.some((pattern) => pattern.startsWith('!'))) {
    lose(sheet, op, 'nothing is excluded: Docker also takes back what is in a directory that is left out');
    return [];
  }
  return op.exclude.flatMap((pattern) => {
    const reason = whyNotExcluded(pattern, names.at(-1));
    if (reason === undefined)
      return [`--exclude=${pattern.includes('/') ? pattern.replace(/^\//, '') : `**/${pattern}`}`];
    lose(sheet, op, `${quote(pattern)} is not excluded: ${reason}`);
    return [];
  });
}

/** @param source - The name of the source, which an exclude of ours never means. */
function whyNotExcluded(pattern: string, source: string | undefined): string | undefined {
  const rule = parseExclude(pattern);
  if (rule.isErr()) return rule.error;
  const { directoriesOnly, wholePath, glob } = rule.value;
  if (source !== undefined && !wholePath && glob.matches(source)) {
    return 'Docker would leave out the source of that name too';
  }
  if (directoriesOnly) return 'Docker would leave out files of that name too';
  const plain = pattern.replace(/\[[A-Za-z0-9_]+(-[A-Za-z0-9])?\]|\*|\?/g, '');
  if (plain !== '' && !isPlainInFlag(plain)) return 'a flag cannot hold every character';
  if (/[^/]\*\*|\*\*[^/]/.test(pattern)) return 'Docker takes "**" for directories everywhere';
  return undefined;
}

function paths(words: readonly string[], { escapeChar }: Sheet): string {
  const escaped = words.map((word) => escapeWord(word, escapeChar));
  const isPlain = words.every((word) => /^[\w./@%+,][\w./@%+,:-]*$/.test(word));
  return isPlain ? escaped.join(' ') : jsonForm(escaped);
}
