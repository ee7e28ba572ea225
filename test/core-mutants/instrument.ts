import { type Constant, constantsOf } from './constants.ts';
import { type Change, changesOf } from './operators.ts';
import { type Node, type Place, parse, places } from './syntax.ts';

/** A change with the name by which people, and the list of survivors, speak of it. */
export interface Mutant extends Change {
  /** Of the file and all the others. */
  readonly id: number;
  readonly file: string;
  readonly line: number;
  /** The function or method that it is in, such as `Slots.take`. */
  readonly within: string;
  /** The change as `was → is`; a third `#2` if it is the second of its name in the function. */
  readonly name: string;
}

export interface Instrumented {
  readonly mutants: readonly Mutant[];
  /** The module with all its mutants in it: `__mutant(id)` says which of them is there. */
  readonly code: string;
}

const LONGEST_NAME = 90;
/** What constants of a module are within. */
export const MODULE = 'module';

/** @param options.firstId - The mutants count from there. */
export function instrument(
  source: string,
  { file, firstId }: { readonly file: string; readonly firstId: number },
): Instrumented {
  const program = parse(file, source);
  const mutants = nameAll(findAll(program, source), { file, firstId, source });
  return {
    mutants,
    code:
      HEAD +
      insert(source, [...constantsOf(program).flatMap(makeAgain), ...mutants.flatMap(switchOf(source))]),
  };
}

interface Found {
  readonly change: Change;
  readonly within: string;
}

/** On the first line, so that the numbers of lines stay. */
const HEAD = 'const { __mutant, __undisposed, __makeAgain } = globalThis;';

/** All changes that give different programs. */
function findAll(program: Node, source: string): readonly Found[] {
  const constants = constantsOf(program).map(({ initial }) => initial);
  const found = new Map<string, Found>();
  for (const place of places(program)) {
    if (!canChangeLater(place, constants)) continue;
    for (const change of changesOf(place, source)) {
      if (source.slice(change.part.start, change.part.end) === change.to) continue;
      const effect = effectOf(change, source);
      if (!found.has(effect)) found.set(effect, { change, within: nameOf(place.above) });
    }
  }
  return [...found.values()];
}

/** The same for changes that give the same program: what is really taken away, and what comes in its place. */
function effectOf({ part, to }: Change, source: string): string {
  const was = source.slice(part.start, part.end);
  let [start, end] = [0, 0];
  const shorter = Math.min(was.length, to.length);
  while (start < shorter && was[start] === to[start]) start += 1;
  while (end < shorter - start && was.at(-1 - end) === to.at(-1 - end)) end += 1;
  return `${part.start + start} ${part.end - end} ${to.slice(start, to.length - end).trim()}`;
}

/** What runs once, when the module is loaded, cannot be changed afterwards. */
function canChangeLater({ node, above }: Place, constants: readonly Node[]): boolean {
  return [...above, node].some(
    (one, i, all) =>
      constants.includes(one) || (i < all.length - 1 && isFunction(one)) || isFieldOfObject(one),
  );
}

function isFunction({ type }: Node): boolean {
  return ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'].includes(type);
}

function isFieldOfObject(node: Node): boolean {
  return node.type === 'PropertyDefinition' && !node.static;
}

function nameOf(above: readonly Node[]): string {
  const names = above.flatMap((node) => {
    if (node.type === 'ClassDeclaration' || node.type === 'FunctionDeclaration') return node.id?.name ?? [];
    if (node.type !== 'MethodDefinition' && node.type !== 'PropertyDefinition') return [];
    if (node.key.type === 'PrivateIdentifier') return `#${node.key.name}`;
    if (node.key.type === 'Identifier') return node.key.name;
    return node.key.type === 'MemberExpression' && node.key.property.type === 'Identifier'
      ? node.key.property.name
      : [];
  });
  return names.slice(0, 2).join('.') || MODULE;
}

function nameAll(
  found: readonly Found[],
  { file, firstId, source }: { readonly file: string; readonly firstId: number; readonly source: string },
): readonly Mutant[] {
  const counts = new Map<string, number>();
  return found.map(({ change, within }, i) => {
    const plain = describe(change, source);
    const count = (counts.get(within + plain) ?? 0) + 1;
    counts.set(within + plain, count);
    const line = source.slice(0, change.part.start).split('\n').length;
    return {
      ...change,
      id: firstId + i,
      file,
      line,
      within,
      name: count === 1 ? plain : `${plain} #${count}`,
    };
  });
}

/** Shows an expression whole; what is taken away in it shows as a gap. */
function describe({ whole, part, to }: Change, source: string): string {
  const was = source.slice(part.start, part.end);
  const isClear =
    whole.form !== 'expression' || was.length > 12 || (whole.start === part.start && whole.end === part.end);
  if (isClear) return `${short(was)} → ${short(to)}`;
  const before = source.slice(whole.start, part.start);
  const after = source.slice(part.end, whole.end);
  return `${short(before + was + after)} → ${short(before + to + after)}`;
}

function short(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  if (line === '' || line === ';') return '∅';
  return line.length > LONGEST_NAME ? `${line.slice(0, LONGEST_NAME)}…` : line;
}

/** Text to be put in at a place; of two at the same place, the one of what is further out is outside. */
interface Insertion {
  readonly at: number;
  readonly text: string;
  readonly side: 'before' | 'after';
}

function switchOf(source: string): (mutant: Mutant) => readonly Insertion[] {
  return ({ id, whole: { start, end, form }, part, to }) => {
    const mutated = source.slice(start, part.start) + to + source.slice(part.end, end);
    if (form === 'expression') {
      return [
        { at: start, side: 'before', text: `(__mutant(${id})?(${mutated}):(` },
        { at: end, side: 'after', text: '))' },
      ];
    }
    const [open, close] = form === 'statement' ? ['{', '}'] : ['', ''];
    return [
      { at: start, side: 'before', text: `${open}if(__mutant(${id})){${mutated}}else{` },
      { at: end, side: 'after', text: `}${close}` },
    ];
  };
}

/** `const A = 1` becomes a variable, which is given its value again for each mutant. */
function makeAgain({ name, declaration }: Constant): readonly Insertion[] {
  const head = `let ${name}; __makeAgain(() => { ${name} = __make${name}(); }); function __make${name}() { `;
  return [
    { at: declaration.start, side: 'before', text: head },
    { at: declaration.end, side: 'after', text: ` return ${name}; }` },
  ];
}

/** Those that were found first are further out. */
function insert(source: string, insertions: readonly Insertion[]): string {
  const at = Map.groupBy(insertions, (one) => one.at);
  let code = '';
  let done = 0;
  for (const position of [...at.keys()].sort((a, b) => a - b)) {
    code += source.slice(done, position);
    done = position;
    const [after, before] = [[], []] as [string[], string[]];
    for (const { side, text } of at.get(position) ?? []) (side === 'after' ? after : before).push(text);
    code += after.reverse().join('') + before.join('');
  }
  return code + source.slice(done);
}
