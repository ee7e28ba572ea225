import { type Node, places, type Span } from './syntax.ts';

/** A constant of a module: it is made once, before any mutant is chosen, unless it is made again. */
export interface Constant {
  readonly name: string;
  readonly declaration: Span;
  readonly initial: Node;
}

/** The constants that can be made again: they are made of literals, and known in their module only. */
export function constantsOf(program: Node): readonly Constant[] {
  if (program.type !== 'Program') return [];
  return program.body.flatMap((declaration) => {
    if (declaration.type !== 'VariableDeclaration' || declaration.kind !== 'const') return [];
    const [only, ...more] = declaration.declarations;
    if (only?.id.type !== 'Identifier' || !only.init || more.length > 0 || !isMadeOfLiterals(only.init))
      return [];
    return [{ name: only.id.name, declaration, initial: only.init }];
  });
}

function isMadeOfLiterals(value: Node): boolean {
  const allowed = [
    'Literal',
    'BinaryExpression',
    'UnaryExpression',
    'ArrayExpression',
    'ObjectExpression',
    'Property',
  ];
  return [...places(value)].every(({ node }) => allowed.includes(node.type) || node.type.startsWith('TSAs'));
}
