import type { Finding } from './check-text.ts';
import type { Op, Spec } from './spec.ts';
import { type SpecLimits, SpecSize } from './spec-limits.ts';
import { didYouMean, enumerate, quote } from './suggest.ts';

/**
 * Whether `value`, which may come from JSON, has the types of a spec, and no more of anything than it may have. It may
 * even contain itself.
 */
export function checkShape(value: unknown, limits: SpecLimits): Finding | undefined {
  return spec(value, { path: '', depth: limits.depth, size: new SpecSize(limits) });
}

/** Whether a spec whose types are right has no more ops and stages than it may have. The size of its text was looked at. */
export function checkSize(value: Spec, limits: SpecLimits): Finding | undefined {
  return countSpec(value, { path: '', depth: limits.depth, size: new SpecSize(limits) });
}

function countSpec({ stages, ops }: Spec, { path, depth, size }: Place): Finding | undefined {
  const prefix = path === '' ? '' : `${path}.`;
  for (const [i, { spec }] of stages.entries()) {
    const at = `${prefix}stages[${i}]`;
    const finding =
      countStage({ path: at, depth, size }) ??
      countSpec(spec, { path: `${at}.spec`, depth: depth - 1, size });
    if (finding) return finding;
  }
  for (let i = 0; i < ops.length; i += 1) {
    const message = size.add(1, 'ops');
    if (message !== undefined) return { path: `${prefix}ops[${i}]`, message };
  }
  return undefined;
}

function countStage({ path, depth, size }: Place): Finding | undefined {
  const tooMany = counted(size.add(1, 'stages'), path);
  if (tooMany) return tooMany;
  if (depth > 0) return undefined;
  return { path, message: `stages nest more than ${size.limits.depth} deep here (the limit "depth")` };
}

interface Place {
  readonly path: string;
  /** How many stages may still lie within stages. */
  readonly depth: number;
  readonly size: SpecSize;
}

type Shape = (value: unknown, place: Place) => Finding | undefined;

const text: Shape = (value, { path, size }) => {
  if (typeof value !== 'string') return expected('a string', { value, path });
  return counted(size.add(1, 'texts') ?? size.add(Buffer.byteLength(value), 'bytes'), path);
};

function counted(message: string | undefined, path: string): Finding | undefined {
  return message === undefined ? undefined : { path, message };
}

const number: Shape = (value, { path }) =>
  typeof value === 'number' ? undefined : expected('a number', { value, path });

const listOf =
  (item: Shape): Shape =>
  (value, { path, ...place }) => {
    if (!Array.isArray(value)) return expected('an array', { value, path });
    for (const [index, element] of value.entries()) {
      // A list of nothing has a size as well.
      const finding =
        counted(place.size.add(1, 'bytes'), path) ?? item(element, { path: `${path}[${index}]`, ...place });
      if (finding) return finding;
    }
    return undefined;
  };

const record =
  (fields: Readonly<Record<string, Shape>>, optional: readonly string[] = []): Shape =>
  (value, { path, ...place }) => {
    if (!isRecord(value)) return expected('an object', { value, path });
    const unknown = Object.keys(value).find((name) => !Object.hasOwn(fields, name));
    if (unknown !== undefined) return unknownField(unknown, { names: Object.keys(fields), path });
    for (const [name, shape] of Object.entries(fields)) {
      if (value[name] === undefined && optional.includes(name)) continue;
      const finding = shape(value[name], { path: path === '' ? name : `${path}.${name}`, ...place });
      if (finding) return finding;
    }
    return undefined;
  };

const pair: Shape = (value, place) =>
  Array.isArray(value) && value.length === 2
    ? listOf(text)(value, place)
    : expected('an array of a key and a value', { value, path: place.path });

const mount = record({ id: text, target: text, buildkitOptions: listOf(pair) }, ['buildkitOptions']);

const user: Shape = (value, place) =>
  isRecord(value) && 'name' in value
    ? record({ name: text })(value, place)
    : record({ uid: number, gid: number })(value, place);

const copyFrom: Shape = (value, place) =>
  value === 'context' ? undefined : record({ stage: text })(value, place);

const ops: Readonly<Record<Op['op'], Shape>> = {
  comment: record({ op: text, text }),
  copy: record({ op: text, from: copyFrom, src: listOf(text), dst: text, exclude: listOf(text) }),
  env: record({ op: text, name: text, value: text }),
  run: record({
    op: text,
    command: text,
    network: listOf(text),
    caches: listOf(mount),
    secrets: listOf(mount),
  }),
  shell: record({ op: text, argv: listOf(text) }),
  user: record({ op: text, user }),
  workdir: record({ op: text, path: text }),
};

const op: Shape = (value, place) => {
  const tooMany = counted(place.size.add(1, 'ops'), place.path);
  if (tooMany) return tooMany;
  if (!isRecord(value)) return expected('an object', { value, path: place.path });
  const name = value.op;
  if (typeof name === 'string' && Object.hasOwn(ops, name)) return ops[name as Op['op']](value, place);
  if (typeof name !== 'string')
    return expected('the name of an op', { value: name, path: `${place.path}.op` });
  const hint = didYouMean(name, Object.keys(ops)) || `; the ops are ${enumerate(Object.keys(ops))}`;
  return { path: `${place.path}.op`, message: `there is no op ${quote(name)}${hint}` };
};

const spec: Shape = (value, place) =>
  record({ stages: listOf(stage), from: text, ops: listOf(op) })(value, place);

const stage: Shape = (value, { path, depth, size }) => {
  const tooMany = countStage({ path, depth, size });
  if (tooMany) return tooMany;
  return record({ name: text, spec })(value, { path, depth: depth - 1, size });
};

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function expected(what: string, { value, path }: { value: unknown; path: string }): Finding {
  const found = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
  return { path, message: `expected ${what}, found ${typeof value === 'string' ? quote(value) : found}` };
}

function unknownField(name: string, { names, path }: { names: readonly string[]; path: string }): Finding {
  const hint = didYouMean(name, names) || `; the fields are ${enumerate(names)}`;
  return { path, message: `there is no field ${quote(name)}${hint}` };
}
