import { type Node, parseSync, visitorKeys } from 'oxc-parser';

export type { Node };

/** Where something stands in a source text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A node with what it stands in, the nearest last. */
export interface Place {
  readonly node: Node;
  readonly above: readonly Node[];
}

/** @throws If the text is not TypeScript. */
export function parse(path: string, source: string): Node {
  const { program, errors } = parseSync(path, source, { preserveParens: false });
  const [error] = errors;
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  return program;
}

/** Every node that is there when the program runs, each before what it holds; types are left out. */
export function* places(node: Node, above: readonly Node[] = []): Generator<Place> {
  yield { node, above };
  for (const child of children(node)) if (!isOnlyType(child)) yield* places(child, [...above, node]);
}

function children(node: Node): Node[] {
  const members = node as unknown as Readonly<Record<string, unknown>>;
  const isName = 'key' in node && 'computed' in node && !node.computed;
  const keys = (visitorKeys[node.type] ?? []).filter((key) => key !== 'key' || !isName);
  return keys.flatMap((key) => members[key]).filter(isNode);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value;
}

/** What TypeScript takes away; an expression with a type, such as `a as B`, stays. */
function isOnlyType({ type }: Node): boolean {
  return (
    type.startsWith('TS') &&
    !['TSAsExpression', 'TSNonNullExpression', 'TSSatisfiesExpression'].includes(type)
  );
}
