import { err, ok, type Result } from 'neverthrow';
import { checkSize } from './check-shape.ts';
import { below, firstFinding } from './check-spec.ts';
import { opNames, parseOp } from './parse-op.ts';
import { headed, type ParseContext, type Parsed, textsOf, wrong } from './parse-parts.ts';
import { readSexp, type Sexp } from './sexp.ts';
import type { Fault } from './sexp-lexer.ts';
import type { Op, Spec, SpecError, Stage } from './spec.ts';
import { type SpecLimits, SpecSize, specLimits, tooMuch } from './spec-limits.ts';
import { didYouMean, quote } from './suggest.ts';

/**
 * Reads a spec from its text: OBuilder's language, for which this is the grammar.
 *
 * ```text
 * spec := ( (build NAME spec)* (from IMAGE) op* )
 * op   := (comment TEXT) | (workdir DIR) | (shell ARG*) | (env NAME VALUE)
 *       | (user (uid N) (gid N)) | (user (name NAME))
 *       | (run (cache (ID (target PATH))*)? (network host?)? (secrets (ID (target PATH))*)? (shell COMMAND))
 *       | (copy (from context | (build NAME))? (src PATH+) (dst PATH) (exclude PATTERN*)?)
 * ```
 *
 * The fields of `run` and `copy` may come in any order. All of {@link checkSpec}'s rules hold afterwards.
 *
 * A spec is UTF-8: a text in it that is not, also one written with escapes such as `\255`, is an error,
 * because the fields of a {@link Spec} are strings. Bytes in comments are not looked at.
 *
 * @param limits - Those that are absent have their defaults.
 * @returns The first error, with its line and column. Nothing is thrown, whatever the bytes.
 */
export function parseSpec(text: string | Uint8Array, limits?: Partial<SpecLimits>): Result<Spec, SpecError> {
  const all = specLimits(limits);
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  if (bytes.length > all.bytes) return err({ message: tooMuch(all, 'bytes') });
  return checkText(text)
    .andThen(() => readSexp(bytes, new SpecSize(all)))
    .andThen((sexp) => parseChecked(sexp, all))
    .mapErr(({ message, at }) => ({ message, ...position(bytes, at) }));
}

/**
 * Where a part of a spec is in the text that it was read from.
 *
 * @param path - As in messages about it, such as `stages[0].spec.ops[2]`.
 * @returns Line and column from 1, the column in bytes, of the part or of what holds it; undefined if the text is no list.
 */
export function placeInSpec(
  text: string | Uint8Array,
  path: string,
): { readonly line: number; readonly column: number } | undefined {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const sexp = readSexp(bytes, new SpecSize({ ...specLimits(), texts: Infinity }));
  if (sexp.isErr() || sexp.value.type !== 'list') return undefined;
  return position(bytes, placeOf(sexp.value, path));
}

/** A JavaScript string may hold half of a surrogate pair, which no UTF-8 text can. */
function checkText(text: string | Uint8Array): Result<void, Fault> {
  if (typeof text !== 'string' || text.isWellFormed()) return ok(undefined);
  const index = text.search(/\p{Surrogate}/u);
  const at = new TextEncoder().encode(text.slice(0, index)).length;
  return err({ message: 'half of a surrogate pair is not a character', at });
}

function parseChecked(sexp: Sexp, limits: SpecLimits): Parsed<Spec> {
  return parseNested(sexp, { path: '', places: { set() {} } }).andThen((spec) => {
    const finding = checkSize(spec, limits) ?? firstFinding(spec, limits);
    return finding ? err({ message: finding.message, at: placeOf(sexp, finding.path) }) : ok(spec);
  });
}

/** Where a part of the spec is. It is read once more for that: most specs have nothing wrong in them. */
function placeOf(sexp: Sexp, path: string): number {
  const places = new Map<string, number>();
  parseNested(sexp, { path: '', places });
  return nearestPlace(places, path);
}

function parseNested(sexp: Sexp, { path, places }: ParseContext): Parsed<Spec> {
  const form = '((from IMAGE) OP ...)';
  if (sexp.type === 'atom')
    return wrong(sexp, `a spec is a list, ${form}; this is the text ${quote(sexp.text)}`);
  if (sexp.items[0]?.type === 'atom')
    return wrong(sexp, `a spec is a list of lists, ${form}; a pair of parentheses is missing`);
  places.set(path, sexp.at);
  const baseIndex = sexp.items.findIndex((item) => headOf(item) === 'from');
  const [before, after] =
    baseIndex < 0 ? [sexp.items, []] : [sexp.items.slice(0, baseIndex), sexp.items.slice(baseIndex + 1)];
  const stages: Stage[] = [];
  for (const item of before) {
    const stage = parseStage(item, { path: below(path, `stages[${stages.length}]`), places });
    if (stage.isErr()) return err(stage.error);
    stages.push(stage.value);
  }
  const base = sexp.items[baseIndex];
  if (base === undefined) return wrong(sexp, 'this spec lacks (from IMAGE), its base image');
  return headed(base).andThen(({ list, head }) =>
    textsOf(list, { form: '(from IMAGE)', count: 1 }).andThen(([from]) => {
      places.set(below(path, 'from'), (list.items[1] ?? head).at);
      return parseOps(after, { path, places }).map((ops) => ({ stages, from: from as string, ops }));
    }),
  );
}

function headOf(sexp: Sexp): string | undefined {
  const head = sexp.type === 'list' ? sexp.items[0] : undefined;
  return head?.type === 'atom' ? head.text : undefined;
}

function parseStage(item: Sexp, { path, places }: ParseContext): Parsed<Stage> {
  return headed(item).andThen(({ list, head }) => {
    if (head.text !== 'build') return wrong(head, notBeforeFrom(head.text));
    const [, name, spec] = list.items;
    if (name === undefined || spec === undefined || list.items.length > 3 || name.type !== 'atom') {
      return wrong(list, '(build NAME SPEC) takes a name and a spec');
    }
    places.set(path, list.at);
    places.set(`${path}.name`, name.at);
    return parseNested(spec, { path: `${path}.spec`, places }).map((parsed) => ({
      name: name.text,
      spec: parsed,
    }));
  });
}

function notBeforeFrom(name: string): string {
  if (opNames.includes(name)) return `(${name} ...) must come after (from IMAGE)`;
  return `only (build NAME SPEC) may come before (from IMAGE), not ${quote(name)}${didYouMean(name, ['from', 'build', ...opNames])}`;
}

function parseOps(items: readonly Sexp[], { path, places }: ParseContext): Parsed<Op[]> {
  const ops: Op[] = [];
  for (const item of items) {
    const op = parseOp(item, { path: below(path, `ops[${ops.length}]`), places });
    if (op.isErr()) return err(op.error);
    ops.push(op.value);
  }
  return ok(ops);
}

/** The place of `path`, or of what holds it. */
function nearestPlace(places: ReadonlyMap<string, number>, path: string): number {
  for (let prefix = path; prefix !== ''; prefix = prefix.replace(/(?:^|\.|\[)[^.[]*$/, '')) {
    const at = places.get(prefix);
    if (at !== undefined) return at;
  }
  return places.get('') ?? 0;
}

function position(bytes: Uint8Array, at: number): { line: number; column: number } {
  let [line, start] = [1, 0];
  for (let index = bytes.indexOf(10); index >= 0 && index < at; index = bytes.indexOf(10, start)) {
    line += 1;
    start = index + 1;
  }
  return { line, column: at - start + 1 };
}
