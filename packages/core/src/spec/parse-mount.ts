import { err, ok, Result } from 'neverthrow';
import { headed, type ParseContext, type Parsed, textsOf, wrong } from './parse-parts.ts';
import type { List, Sexp } from './sexp.ts';
import type { BuildkitOptions, SecretUse } from './spec.ts';
import { didYouMean, enumerate, quote } from './suggest.ts';

const form = '(ID (target PATH))';
const optionsForm = '(buildkit_options ((KEY VALUE) ...))';

/** Reads the entries of `cache` or `secrets`, which are written alike. */
export function parseMounts(list: List | undefined, { path, places }: ParseContext): Parsed<SecretUse[]> {
  if (list === undefined) return ok([]);
  places.set(path, list.at);
  return Result.combine(
    list.items.slice(1).map((item, index) => parseMount(item, { path: `${path}[${index}]`, places })),
  );
}

function parseMount(item: Sexp, context: ParseContext): Parsed<SecretUse> {
  if (item.type === 'atom') return wrong(item, `an entry is written ${form}, not ${quote(item.text)}`);
  const id = item.items[0];
  if (id?.type !== 'atom') return wrong(id ?? item, `an entry is written ${form}: it starts with its id`);
  context.places.set(context.path, item.at);
  context.places.set(`${context.path}.id`, id.at);
  return parseMountFields(item, context).andThen(({ target, buildkitOptions }) => {
    if (target === undefined) return wrong(item, `the entry ${quote(id.text)} lacks (target PATH)`);
    return ok({ id: id.text, target, ...(buildkitOptions === undefined ? {} : { buildkitOptions }) });
  });
}

interface MountFields {
  target?: string;
  buildkitOptions?: BuildkitOptions;
}

function parseMountFields(item: List, context: ParseContext): Parsed<MountFields> {
  const fields: MountFields = {};
  for (const part of item.items.slice(1)) {
    const field = headed(part, '(target PATH)');
    if (field.isErr()) return err(field.error);
    const { list, head } = field.value;
    if (head.text === 'target' && fields.target === undefined) {
      const target = textsOf(list, { form: '(target PATH)', count: 1 });
      if (target.isErr()) return err(target.error);
      context.places.set(`${context.path}.target`, (list.items[1] as Sexp).at);
      fields.target = target.value[0] as string;
    } else if (head.text === 'buildkit_options' && fields.buildkitOptions === undefined) {
      const options = parseOptions(list, { ...context, path: `${context.path}.buildkitOptions` });
      if (options.isErr()) return err(options.error);
      fields.buildkitOptions = options.value;
    } else {
      return wrong(head, wrongField(head.text));
    }
  }
  return ok(fields);
}

function wrongField(name: string): string {
  const names = ['target', 'buildkit_options'];
  if (names.includes(name)) return `an entry has the field ${quote(name)} twice`;
  return `an entry has no field ${quote(name)}${didYouMean(name, names) || `; it has ${enumerate(names)}`}`;
}

function parseOptions(list: List, { path, places }: ParseContext): Parsed<BuildkitOptions> {
  const pairs = list.items[1];
  if (pairs?.type !== 'list' || list.items.length > 2)
    return wrong(list, `options are written ${optionsForm}`);
  places.set(path, pairs.at);
  return Result.combine(
    pairs.items.map((pair, index) => {
      places.set(`${path}[${index}]`, pair.at);
      const [key, value] = pair.type === 'list' ? pair.items : [];
      const isPair = pair.type === 'list' && pair.items.length === 2;
      if (!isPair || key?.type !== 'atom' || value?.type !== 'atom') {
        return wrong(pair, `options are written ${optionsForm}`);
      }
      return ok([key.text, value.text] as const);
    }),
  );
}
