import { closest, distance } from 'fastest-levenshtein';

/** `: did you mean "run"?`, or nothing if no candidate is near: it has the same letters, or at most two others. */
export function didYouMean(text: string, candidates: readonly string[]): string {
  const alike = candidates.filter(({ length }) => Math.abs(length - text.length) <= 2);
  if (alike.length === 0 || text.length > 100) return '';
  const best = alike.find((candidate) => sorted(candidate) === sorted(text)) ?? closest(text, alike);
  const near = text.length <= 3 ? 1 : 2;
  const isNear = sorted(best) === sorted(text) || distance(text, best) <= near;
  return isNear && best.length > 1 ? `: did you mean ${JSON.stringify(best)}?` : '';
}

function sorted(text: string): string {
  return [...text].sort().join('');
}

/** `a, b and c` */
export function enumerate(words: readonly string[], conjunction = 'and'): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)}`;
}

/** The text in quotes on one line, shortened, for a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length <= 60 ? text : `${text.slice(0, 60)}…`);
}
