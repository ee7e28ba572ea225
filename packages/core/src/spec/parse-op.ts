import { err, ok, Result } from 'neverthrow';
import { toCacheId } from '../backend/names.ts';
import { parseMounts } from './parse-mount.ts';
import {
  fieldsOf,
  type Headed,
  headed,
  type ParseContext,
  type Parsed,
  placeItems,
  textsOf,
  wrong,
} from './parse-parts.ts';
import type { List, Sexp } from './sexp.ts';
import type { CopyOp, Op, UserRef } from './spec.ts';
import { didYouMean, enumerate, quote } from './suggest.ts';

type OpParser = (form: Headed, context: ParseContext) => Parsed<Op>;

const parsers: Readonly<Record<Op['op'], OpParser>> = {
  comment: ({ list }, context) =>
    oneText(list, { form: '(comment TEXT)', field: 'text', context }).map((text) => ({
      op: 'comment',
      text,
    })),
  copy: parseCopy,
  env: parseEnv,
  run: parseRun,
  shell: parseShell,
  user: ({ list }, context) => parseUser(list, context).map((user) => ({ op: 'user', user })),
  workdir: ({ list }, context) =>
    oneText(list, { form: '(workdir DIR)', field: 'path', context }).map((path) => ({ op: 'workdir', path })),
};

export const opNames: readonly string[] = Object.keys(parsers);

export function parseOp(item: Sexp, context: ParseContext): Parsed<Op> {
  return headed(item).andThen((form) => {
    const name = form.head.text;
    if (!isOpName(name)) return wrong(form.head, unknownOp(name));
    context.places.set(context.path, form.list.at);
    return parsers[name](form, context);
  });
}

function isOpName(name: string): name is Op['op'] {
  return Object.hasOwn(parsers, name);
}

function unknownOp(name: string): string {
  const lower = name.toLowerCase();
  if (name === 'build') return '(build NAME SPEC) must come before (from IMAGE)';
  if (name === 'from') return 'a spec has only one (from IMAGE)';
  if (isOpName(lower)) return `op names are lower-case: write "${lower}", not ${quote(name)}`;
  const hint = didYouMean(name, opNames) || `; the ops are ${enumerate(opNames)}`;
  return `there is no op ${quote(name)}${hint}`;
}

function oneText(
  list: List,
  { form, field, context }: { form: string; field: string; context: ParseContext },
): Parsed<string> {
  return textsOf(list, { form, count: 1 }).map(([text]) => {
    context.places.set(`${context.path}.${field}`, (list.items[1] as Sexp).at);
    return text as string;
  });
}

function parseEnv({ list }: Headed, { path, places }: ParseContext): Parsed<Op> {
  return textsOf(list, { form: '(env NAME VALUE)', count: 2 }).map(([name, value]) => {
    places.set(`${path}.name`, (list.items[1] as Sexp).at);
    places.set(`${path}.value`, (list.items[2] as Sexp).at);
    return { op: 'env', name: name as string, value: value as string };
  });
}

function parseShell({ list }: Headed, { path, places }: ParseContext): Parsed<Op> {
  return textsOf(list, { form: '(shell ARG ...)' }).map((argv) => {
    placeItems(list, { path: `${path}.argv`, places });
    return { op: 'shell', argv };
  });
}

const userForm = '(user (uid N) (gid N)) or (user (name NAME))';

function parseUser(list: List, context: ParseContext): Parsed<UserRef> {
  const fields = Result.combine(list.items.slice(1).map((item) => headed(item, '(uid 1000)')));
  return fields.andThen((forms): Parsed<UserRef> => {
    const [first, second] = forms;
    const heads = forms.map(({ head }) => head.text).join(' ');
    const inside = { ...context, path: `${context.path}.user` };
    if (heads === 'name' && first) {
      return oneText(first.list, { form: '(name NAME)', field: 'name', context: inside }).map((name) => ({
        name,
      }));
    }
    if (heads === 'uid gid' && first && second) {
      return userNumber(first, inside).andThen((uid) =>
        userNumber(second, inside).map((gid) => ({ uid, gid })),
      );
    }
    if (heads === 'gid uid') return wrong(list, '(user ...) takes (uid N) first, then (gid N)');
    return wrong(list, `a user is written ${userForm}`);
  });
}

function userNumber({ list, head }: Headed, context: ParseContext): Parsed<number> {
  return oneText(list, { form: `(${head.text} N)`, field: head.text, context }).andThen((text) => {
    if (/^[0-9]+$/.test(text) && Number(text) <= 4294967294) return ok(Number(text));
    return wrong(list.items[1] as Sexp, `${quote(text)} is not a decimal number from 0 to 4294967294`);
  });
}

function parseRun(form: Headed, context: ParseContext): Parsed<Op> {
  const names = ['cache', 'network', 'secrets', 'shell'];
  const fields = fieldsOf(form, { names, required: ['shell'], example: '(shell "make")' });
  if (fields.isErr()) return err(fields.error);
  const [cache, network, secrets] = names.map((name) => fields.value.get(name));
  const shell = fields.value.get('shell') as List;
  const command = oneText(shell, { form: '(shell COMMAND)', field: 'command', context });
  const networks = texts(network, { form: '(network NAME ...)', field: 'network', context });
  const caches = parseMounts(cache, { ...context, path: `${context.path}.caches` });
  const mountedSecrets = parseMounts(secrets, { ...context, path: `${context.path}.secrets` });
  return Result.combine([command, networks, caches, mountedSecrets]).map((all) => {
    const [command, network, caches, secrets] = all;
    return {
      op: 'run',
      command,
      network,
      caches: caches.map((cache) => ({ ...cache, id: toCacheId(cache.id) })),
      secrets,
    };
  });
}

function texts(
  list: List | undefined,
  { form, field, context }: { form: string; field: string; context: ParseContext },
): Parsed<string[]> {
  if (list === undefined) return ok([]);
  placeItems(list, { ...context, path: `${context.path}.${field}` });
  return textsOf(list, { form });
}

function parseCopy(form: Headed, context: ParseContext): Parsed<Op> {
  const names = ['from', 'src', 'dst', 'exclude'];
  const fields = fieldsOf(form, { names, required: ['src', 'dst'], example: '(src FILE)' });
  if (fields.isErr()) return err(fields.error);
  const [from, src, dst, exclude] = names.map((name) => fields.value.get(name));
  return Result.combine([
    parseCopyFrom(from, context),
    texts(src, { form: '(src PATH ...)', field: 'src', context }),
    oneText(dst as List, { form: '(dst PATH)', field: 'dst', context }),
    texts(exclude, { form: '(exclude PATTERN ...)', field: 'exclude', context }),
  ]).map(([from, src, dst, exclude]) => ({ op: 'copy', from, src, dst, exclude }));
}

function parseCopyFrom(list: List | undefined, { path, places }: ParseContext): Parsed<CopyOp['from']> {
  const form = '(from context) or (from (build NAME))';
  if (list === undefined) return ok('context');
  const source = list.items[1];
  if (source === undefined || list.items.length > 2)
    return wrong(list, `the source of a copy is written ${form}`);
  if (source.type === 'atom') {
    if (source.text === 'context') return ok('context');
    return wrong(source, `the source of a copy is written ${form}, not ${quote(source.text)}`);
  }
  const [head, name] = source.items;
  const isBuild = head?.type === 'atom' && head.text === 'build';
  if (!isBuild || name?.type !== 'atom' || source.items.length > 2) {
    return wrong(source, `the source of a copy is written ${form}`);
  }
  places.set(`${path}.from.stage`, name.at);
  return ok({ stage: name.text });
}
