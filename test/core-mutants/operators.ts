import type { Node, Place, Span } from './syntax.ts';

/** One small change of a program that a test should see. */
export interface Change {
  /** What is evaluated or done instead: the nearest expression, statement or block that can be exchanged. */
  readonly whole: Span & { readonly form: 'expression' | 'statement' | 'block' };
  /** The part of it that changes. */
  readonly part: Span;
  readonly to: string;
}

type Operator = (place: Place, source: string) => readonly Change[];

const OPPOSITES: Readonly<Record<string, readonly string[]>> = {
  '===': ['!=='],
  '!==': ['==='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '&': ['|'],
  '|': ['&'],
  '+=': ['-='],
  '-=': ['+='],
  '??=': ['='],
  '&&': ['||'],
  '||': ['&&'],
};

/** Methods that a reader could take for each other. */
const OTHER_METHODS: Readonly<Record<string, string>> = {
  some: 'every',
  every: 'some',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  push: 'unshift',
  unshift: 'push',
  shift: 'pop',
  min: 'max',
  max: 'min',
  findLastIndex: 'findIndex',
  lastIndexOf: 'indexOf',
  race: 'all',
  values: 'keys',
};

/** Methods whose call may be forgotten: what they were called on does in their place. */
const FORGOTTEN_METHODS = [
  'sort',
  'toSorted',
  'reverse',
  'slice',
  'filter',
  'trim',
  'flat',
  'catch',
  'replace',
];

const OPERATORS: { readonly [T in Node['type']]?: Operator } = {
  BinaryExpression: changeOperator,
  LogicalExpression: (place, source) => [...changeOperator(place, source), ...keepOneSide(place, source)],
  AssignmentExpression: changeOperator,
  UpdateExpression: ({ node }) => {
    if (node.type !== 'UpdateExpression') return [];
    const at = node.prefix ? node.start : node.end - 2;
    return [
      { whole: expression(node), part: { start: at, end: at + 2 }, to: node.operator === '++' ? '--' : '++' },
    ];
  },
  UnaryExpression: ({ node }) => {
    if (node.type !== 'UnaryExpression' || !['!', '-'].includes(node.operator)) return [];
    return [{ whole: expression(node), part: { start: node.start, end: node.start + 1 }, to: '' }];
  },
  Literal: changeLiteral,
  TemplateLiteral: ({ node, above }) => (isText(above) ? [instead(node, '``')] : []),
  ArrayExpression: ({ node }) => (node.type === 'ArrayExpression' ? leaveOut(node, node.elements) : []),
  ObjectExpression: ({ node }) => (node.type === 'ObjectExpression' ? leaveOut(node, node.properties) : []),
  IfStatement: ({ node }) => (node.type === 'IfStatement' ? decide(node.test) : []),
  ConditionalExpression: ({ node }) => (node.type === 'ConditionalExpression' ? decide(node.test) : []),
  WhileStatement: ({ node }) => (node.type === 'WhileStatement' ? [instead(node.test, 'false')] : []),
  ForStatement: ({ node }) =>
    node.type === 'ForStatement' && node.test ? [instead(node.test, 'false')] : [],
  ArrowFunctionExpression: ({ node }) => {
    if (node.type !== 'ArrowFunctionExpression' || node.body.type === 'BlockStatement') return [];
    return [instead(node.body, 'undefined')];
  },
  BlockStatement: emptyBlock,
  ExpressionStatement: leaveUndone,
  ThrowStatement: leaveUndone,
  ContinueStatement: leaveUndone,
  BreakStatement: leaveUndone,
  ReturnStatement: (place) =>
    place.node.type === 'ReturnStatement' && !place.node.argument ? leaveUndone(place) : [],
  AwaitExpression: doNotWait,
  VariableDeclaration: doNotDispose,
  CallExpression: changeCall,
  ChainExpression: changeChain,
};

/** Every change of one node that makes sense to try. */
export function changesOf(place: Place, source: string): readonly Change[] {
  if (place.above.some(isNoMatter) || isNoMatter(place.node)) return [];
  const changes = OPERATORS[place.node.type]?.(place, source) ?? [];
  return changes.map((change) => ({ ...change, whole: exchangeable(change.whole, place) }));
}

/** What only people who debug or who made a mistake see: output of `debug`, and the texts of what is thrown. */
function isNoMatter(node: Node): boolean {
  if (node.type === 'CallExpression')
    return isNamed(node.callee, 'debug') || isNamed(node.callee, 'createDebug');
  if (node.type === 'ExpressionStatement') return isNoMatter(node.expression);
  return (
    node.type === 'NewExpression' && node.callee.type === 'Identifier' && node.callee.name.endsWith('Error')
  );
}

/** Of `a?.b.c` no part can be put into parentheses. */
function exchangeable(whole: Change['whole'], { node, above }: Place): Change['whole'] {
  if (whole.form !== 'expression' || whole.start !== node.start || whole.end !== node.end) return whole;
  let top = node;
  for (const parent of above.toReversed()) {
    const isLink =
      (parent.type === 'MemberExpression' && parent.object === top) ||
      (parent.type === 'CallExpression' && parent.callee === top);
    if (parent.type === 'ChainExpression') return expression(parent);
    if (!isLink) return whole;
    top = parent;
  }
  return whole;
}

function changeOperator({ node }: Place, source: string): readonly Change[] {
  if (
    node.type !== 'BinaryExpression' &&
    node.type !== 'LogicalExpression' &&
    node.type !== 'AssignmentExpression'
  ) {
    return [];
  }
  if (node.operator === 'in' || node.operator === 'instanceof') {
    return [instead(node, `!(${source.slice(node.start, node.end)})`)];
  }
  const start = source.indexOf(node.operator, node.left.end);
  const part = { start, end: start + node.operator.length };
  return (OPPOSITES[node.operator] ?? []).map((to) => ({ whole: expression(node), part, to }));
}

function keepOneSide({ node }: Place, source: string): readonly Change[] {
  if (node.type !== 'LogicalExpression') return [];
  return [node.left, node.right].map((side) => instead(node, source.slice(side.start, side.end)));
}

function changeLiteral({ node, above }: Place): readonly Change[] {
  if (node.type !== 'Literal') return [];
  const { value } = node;
  if (typeof value === 'boolean') return [instead(node, `${!value}`)];
  const parent = above.at(-1);
  // What it is compared with is changed by the comparison.
  if (parent?.type === 'BinaryExpression' && ['===', '!==', 'in'].includes(parent.operator)) return [];
  if (typeof value === 'number') return [instead(node, value === 0 ? '1' : '0')];
  if (typeof value === 'bigint') return [instead(node, value === 0n ? '1n' : '0n')];
  if (typeof value === 'string' && isText(above)) return [instead(node, value === '' ? "'mutant'" : "''")];
  return [];
}

/** Whether a string is a value, and not a name of something. */
function isText(above: readonly Node[]): boolean {
  const parent = above.at(-1);
  if (parent === undefined || /^(Import|Export)/.test(parent.type)) return false;
  return !['SwitchCase', 'TaggedTemplateExpression'].includes(parent.type);
}

/** Each element of a list is left out once. */
function leaveOut(list: Node, elements: readonly (Node | null)[]): readonly Change[] {
  const present = elements.filter((element) => element !== null);
  if (present.length === 1) return [instead(list, list.type === 'ArrayExpression' ? '[]' : '{}')];
  return present.map((element, i) => {
    const [before, after] = [present[i - 1], present[i + 1]];
    const part =
      after !== undefined
        ? { start: element.start, end: after.start }
        : { start: before?.end ?? element.start, end: element.end };
    return { whole: expression(list), part, to: '' };
  });
}

function decide(test: Node): readonly Change[] {
  return [instead(test, 'true'), instead(test, 'false')];
}

/** A block without effect, unless another change does the same. */
function emptyBlock({ node, above }: Place): readonly Change[] {
  if (node.type !== 'BlockStatement' || node.body.length === 0) return [];
  const parent = above.at(-1);
  if (parent?.type === 'IfStatement' && parent.consequent === node && !parent.alternate) return [];
  const [only] = node.body;
  if (node.body.length === 1 && only?.type === 'ExpressionStatement') return [];
  const part = { start: node.start + 1, end: node.end - 1 };
  return [{ whole: { ...part, form: 'block' }, part, to: '' }];
}

/** A statement that is not there, unless a condition that is never true does the same. */
function leaveUndone({ node, above }: Place): readonly Change[] {
  const parent = above.at(-1);
  if (parent?.type === 'IfStatement' && parent.consequent === node && !parent.alternate) return [];
  return [{ whole: statement(node), part: node, to: ';' }];
}

function doNotWait({ node, above }: Place): readonly Change[] {
  if (node.type !== 'AwaitExpression') return [];
  const parent = above.at(-1);
  if (parent?.type !== 'ExpressionStatement' && parent?.type !== 'ReturnStatement') return [];
  return [{ whole: expression(node), part: { start: node.start, end: node.argument.start }, to: '' }];
}

function doNotDispose({ node }: Place, source: string): readonly Change[] {
  if (node.type !== 'VariableDeclaration' || !node.kind.endsWith('using')) return [];
  return node.declarations.flatMap(({ init }) =>
    init ? [instead(init, `__undisposed(${source.slice(init.start, init.end)})`)] : [],
  );
}

function changeCall({ node, above }: Place, source: string): readonly Change[] {
  if (node.type !== 'CallExpression' || node.callee.type !== 'MemberExpression')
    return dropSignal(node, source);
  const { object, property } = node.callee;
  const name = property.type === 'Identifier' ? property.name : '';
  const other = Object.hasOwn(OTHER_METHODS, name) ? OTHER_METHODS[name] : undefined;
  const renamed = other === undefined ? [] : [{ whole: expression(node), part: property, to: other }];
  const isStatement = above.at(-1)?.type === 'ExpressionStatement';
  const forgotten =
    FORGOTTEN_METHODS.includes(name) && !isStatement
      ? [instead(node, source.slice(object.start, object.end))]
      : [];
  return [...renamed, ...forgotten, ...dropSignal(node, source)];
}

/** A signal goes down every call. */
function dropSignal(node: Node, source: string): readonly Change[] {
  if (node.type !== 'CallExpression') return [];
  const last = node.arguments.at(-1);
  if (last === undefined || !/\bsignal$/i.test(source.slice(last.start, last.end))) return [];
  return [{ whole: expression(node), part: last, to: '' }];
}

/** What may be undefined is taken to be there. */
function changeChain({ node }: Place, source: string): readonly Change[] {
  const changes: Change[] = [];
  for (let link: Node | undefined = node; link !== undefined; link = nextLink(link)) {
    if (!('optional' in link) || link.optional !== true) continue;
    const end = link.type === 'CallExpression' ? link.callee.end : (nextLink(link)?.end ?? link.start);
    const start = source.indexOf('?.', end);
    const to = '[('.includes(source[start + 2] ?? '') ? '' : '.';
    changes.push({ whole: expression(node), part: { start, end: start + 2 }, to });
  }
  return changes;
}

function nextLink(node: Node): Node | undefined {
  if (node.type === 'ChainExpression') return node.expression;
  if (node.type === 'MemberExpression') return node.object;
  return node.type === 'CallExpression' ? node.callee : undefined;
}

function isNamed(node: Node, name: string): boolean {
  return node.type === 'Identifier' && node.name === name;
}

function instead(node: Span, to: string): Change {
  return { whole: expression(node), part: node, to };
}

function expression({ start, end }: Span): Change['whole'] {
  return { start, end, form: 'expression' };
}

function statement({ start, end }: Span): Change['whole'] {
  return { start, end, form: 'statement' };
}
