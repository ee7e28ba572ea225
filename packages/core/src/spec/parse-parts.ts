import { err, ok, type Result } from 'neverthrow';
import type { Atom, List, Sexp } from './sexp.ts';
import type { Fault } from './sexp-lexer.ts';
import { didYouMean, enumerate, quote } from './suggest.ts';

export type Parsed<T> = Result<T, Fault>;

/** Where the parser is in the spec it makes, and the offset in the text of each part it has seen. */
export interface ParseContext {
  /** Such as `stages[0].spec.ops[2]`. */
  readonly path: string;
  readonly places: Places;
}

/** Gets the offset of each part. */
export interface Places {
  set(path: string, at: number): void;
}

export function wrong(sexp: Sexp, message: string): Parsed<never> {
  return err({ message, at: sexp.at });
}

/** A list that starts with a name. */
export interface Headed {
  readonly list: List;
  readonly head: Atom;
}

export function headed(sexp: Sexp, example = '(run (shell "make"))'): Parsed<Headed> {
  if (sexp.type === 'atom') {
    return wrong(sexp, `here belongs a list, such as ${example}, not the text ${quote(sexp.text)}`);
  }
  const head = sexp.items[0];
  if (head?.type === 'atom') return ok({ list: sexp, head });
  return wrong(sexp, `this list must start with a name, as ${example} does`);
}

/** The texts behind the head of a list. `form` is how the list is written, for messages. */
export function textsOf(list: List, { form, count }: { form: string; count?: number }): Parsed<string[]> {
  const texts: string[] = [];
  for (const item of list.items.slice(1)) {
    if (item.type === 'list') return wrong(item, `${form} takes texts, not a list`);
    texts.push(item.text);
  }
  if (count === undefined || texts.length === count) return ok(texts);
  const expected = count === 1 ? 'exactly one text' : `exactly ${count} texts`;
  return wrong(list, `${form} takes ${expected}, not ${texts.length}`);
}

/** Reads the fields of `run` or `copy`, in any order. */
export function fieldsOf(
  { list, head }: Headed,
  { names, required, example }: { names: readonly string[]; required: readonly string[]; example: string },
): Parsed<ReadonlyMap<string, List>> {
  const fields = new Map<string, List>();
  for (const item of list.items.slice(1)) {
    const field = headed(item, example);
    if (field.isErr()) return err(field.error);
    const name = field.value.head.text;
    if (!names.includes(name)) return wrong(field.value.head, unknownField(head.text, { name, names }));
    if (fields.has(name))
      return wrong(field.value.head, `(${head.text} ...) has the field ${quote(name)} twice`);
    fields.set(name, field.value.list);
  }
  const missing = required.find((name) => !fields.has(name));
  return missing ? wrong(list, `(${head.text} ...) lacks the field ${quote(missing)}`) : ok(fields);
}

function unknownField(op: string, { name, names }: { name: string; names: readonly string[] }): string {
  const hint = didYouMean(name, names) || `; it has ${enumerate(names)}`;
  return `(${op} ...) has no field ${quote(name)}${hint}`;
}

/** Remembers where each item behind the head of `list` is, as `path[0]`, `path[1]`... */
export function placeItems(list: List, { path, places }: ParseContext): void {
  places.set(path, list.at);
  list.items.slice(1).forEach((item, index) => {
    places.set(`${path}[${index}]`, item.at);
  });
}
