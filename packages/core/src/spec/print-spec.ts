import { printAtom, printAtomLines } from './print-atom.ts';
import type { CopyOp, Op, RunOp, SecretUse, Spec, UserRef } from './spec.ts';

/**
 * Writes a spec in its canonical layout: one op on a line, a `run` or `copy` that does not fit into 80 columns one
 * field on a line, and a text of several lines line by line. Fields that say what is the default are left out.
 *
 * {@link parseSpec} of it gives the same spec again, for every spec that {@link checkSpec} accepts.
 */
export function printSpec(spec: Spec): string {
  return `${layoutSpec(spec, 0)}\n`;
}

/**
 * An op, or the base image that a stage starts from, in at most 100 characters on one line.
 * The command of a `run` comes first, so that it is what remains of a long one.
 */
export function titleOf(op: Op | { readonly op: 'base'; readonly image: string }): string {
  // What is cut off anyway need not be written first.
  const chars = [...flat(beginning(titleList(op)))];
  return chars.length <= 100 ? chars.join('') : `${chars.slice(0, 99).join('')}…`;
}

function titleList(op: Op | { readonly op: 'base'; readonly image: string }): readonly Datum[] {
  if (op.op === 'base') return ['from', op.image];
  const [name, ...fields] = listOf(op);
  return op.op === 'run' ? [op.op, fields.at(-1) ?? [], ...fields.slice(0, -1)] : [name ?? op.op, ...fields];
}

/** As much of it as a title can have, and more. */
function beginning(datum: Datum): Datum {
  return typeof datum === 'string' ? datum.slice(0, 200) : datum.slice(0, 100).map(beginning);
}

const width = 80;

/** A text or a list, before it is laid out. */
type Datum = string | readonly Datum[];

function layoutSpec(spec: Spec, column: number): string {
  const inner = column + 1;
  const margin = `\n${' '.repeat(inner)}`;
  const stages = spec.stages.map(
    (stage) => `(build ${printAtom(stage.name)}${margin}  ${layoutSpec(stage.spec, inner + 2)})`,
  );
  const ops = spec.ops.map((op) => layoutOp(op, inner));
  return `(${[...stages, flat(['from', spec.from]), ...ops].join(margin)})`;
}

function layoutOp(op: Op, column: number): string {
  const datum = listOf(op);
  const isOneLine = (op.op !== 'run' && op.op !== 'copy') || datum.length === 2;
  const oneLine = lines(datum, column);
  if (isOneLine || (!oneLine.includes('\n') && column + oneLine.length <= width)) return oneLine;
  const fields = datum.slice(1).map((field) => lines(field, column + 1));
  return `(${[op.op, ...fields].join(`\n${' '.repeat(column + 1)}`)})`;
}

/** On one line, but for texts that have several. */
function lines(datum: Datum, column: number): string {
  if (typeof datum === 'string') return printAtomLines(datum, column);
  let at = column + 1;
  const printed = datum.map((item) => {
    const text = lines(item, at);
    const lastLine = text.length - (text.lastIndexOf('\n') + 1);
    at = lastLine === text.length ? at + lastLine + 1 : lastLine + 1;
    return text;
  });
  return `(${printed.join(' ')})`;
}

function flat(datum: Datum): string {
  return typeof datum === 'string' ? printAtom(datum) : `(${datum.map(flat).join(' ')})`;
}

function listOf(op: Op): readonly Datum[] {
  switch (op.op) {
    case 'comment':
      return ['comment', op.text];
    case 'workdir':
      return ['workdir', op.path];
    case 'shell':
      return ['shell', ...op.argv];
    case 'env':
      return ['env', op.name, op.value];
    case 'user':
      return ['user', ...userFields(op.user)];
    case 'run':
      return ['run', ...runFields(op)];
    case 'copy':
      return ['copy', ...copyFields(op)];
  }
}

function userFields(user: UserRef): Datum[] {
  if ('name' in user) return [['name', user.name]];
  return [
    ['uid', String(user.uid)],
    ['gid', String(user.gid)],
  ];
}

function runFields(op: RunOp): Datum[] {
  return [
    ...field('cache', op.caches.map(mount)),
    ...field('network', op.network),
    ...field('secrets', op.secrets.map(mount)),
    ['shell', op.command],
  ];
}

function copyFields(op: CopyOp): Datum[] {
  return [
    ...(op.from === 'context' ? [] : [['from', ['build', op.from.stage]]]),
    ['src', ...op.src],
    ['dst', op.dst],
    ...field('exclude', op.exclude),
  ];
}

function field(name: string, items: readonly Datum[]): Datum[] {
  return items.length === 0 ? [] : [[name, ...items]];
}

function mount(use: SecretUse): Datum {
  const options = use.buildkitOptions === undefined ? [] : [['buildkit_options', use.buildkitOptions]];
  return [use.id, ['target', use.target], ...options];
}
