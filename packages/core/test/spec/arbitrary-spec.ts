import fc from 'fast-check';
import { toCacheId } from '../../src/backend/names.ts';
import { parseExclude } from '../../src/spec/exclude-rules.ts';
import type { CopyOp, Op, RunOp, SecretUse, Spec, Stage } from '../../src/spec/index.ts';

/** Words that mean something to the reader, the shell or a Dockerfile, besides any other text. */
const awkward = [
  '#',
  '|',
  '#|',
  '|#',
  '#;',
  '"',
  '\\',
  "'",
  '`',
  '$HOME',
  '$',
  '{x}',
  '<<EOF',
  'EOF',
  ' ',
  '  ',
  '\t',
  '\n',
  '\r',
  '\r\n',
  '\n ',
  '\\\n',
  '(',
  ')',
  ';',
  '[',
  ']',
  '*',
  '?',
  '--',
  ',',
  '=',
  'é',
  '日本',
  '👩‍👩‍👧',
  '\u202e',
  '\ufeff',
  '\u2028',
  '\x01',
  '\x7f',
  '\x85',
  '\\x41',
  '\\065',
  'run',
  'a',
];

/** Any text that a spec may hold. */
export const anyText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(...awkward),
      fc.string({ unit: 'grapheme', maxLength: 4 }),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    {
      maxLength: 6,
    },
  )
  .map((parts) => parts.join('').replaceAll('\0', '').toWellFormed());

const someText: fc.Arbitrary<string> = anyText.filter((text) => text !== '');

const id = fc.integer({ min: 0, max: 4294967294 });
const source = anyText.filter((text) => !text.split('/').includes('..'));
const pattern = fc
  .oneof(someText, fc.constantFrom('*.o', '!a', '/a/b', '**/c/', 'a/**', '[!a-z]?', '\\!x'))
  .filter((text) => parseExclude(text).isOk());
/** Something is excluded before anything is taken back. */
const patterns = fc
  .array(pattern, { maxLength: 3 })
  .map((all) => all.slice(all.findIndex((text) => !text.startsWith('!'))))
  .filter(([first]) => first?.startsWith('!') !== true);

const user = fc.oneof(
  fc.record({ uid: id, gid: id }),
  fc.record({ name: someText.map((name) => name.replace(/[:\n]/g, '_')) }),
);

const options = fc.array(
  fc.tuple(fc.constantFrom('sharing', 'uid', 'mode'), anyText).map(([key, value]) => [key, value] as const),
  { maxLength: 2 },
);

/** Mounts of one run, each with a target of its own; only a cache may have an empty id. */
const mounts: fc.Arbitrary<SecretUse[]> = fc
  .array(
    fc.record(
      { id: someText.filter((id) => id.length < 40), buildkitOptions: options },
      { requiredKeys: ['id'] },
    ),
    {
      maxLength: 3,
    },
  )
  .chain((uses) =>
    fc.array(someText, { minLength: uses.length, maxLength: uses.length }).map((targets) =>
      uses.map((use, index) => ({
        ...use,
        target: `/${index}/${targets[index]?.replaceAll('/', '_').replaceAll('.', '_')}`,
      })),
    ),
  );

const run: fc.Arbitrary<RunOp> = fc
  .tuple(anyText, fc.constantFrom<(readonly string[])[]>([], ['host']), mounts, fc.nat())
  .map(([command, network, all, split]) => ({
    op: 'run',
    command,
    network,
    caches: all
      .slice(0, split % 4)
      .map((use, i) => ({ ...use, id: toCacheId(i === split % 5 ? '' : use.id) })),
    secrets: all.slice(split % 4),
  }));

function copy(stages: readonly string[]): fc.Arbitrary<CopyOp> {
  const from = fc.constantFrom<CopyOp['from'][]>('context', ...stages.map((stage) => ({ stage })));
  return fc
    .record({
      from,
      src: fc.array(source, { minLength: 1, maxLength: 3 }),
      dst: someText,
      exclude: patterns,
    })
    .map((copy) => ({ op: 'copy', ...copy, dst: copy.src.length > 1 ? `${copy.dst}/` : copy.dst }));
}

function op(stages: readonly string[]): fc.Arbitrary<Op> {
  return fc.oneof(
    anyText.map((text): Op => ({ op: 'comment', text })),
    someText.map((path): Op => ({ op: 'workdir', path })),
    fc.array(anyText, { maxLength: 3 }).map((argv): Op => ({ op: 'shell', argv })),
    fc
      .tuple(someText, anyText)
      .map(([name, value]): Op => ({ op: 'env', name: `N${name.replace(/[=\s\p{Cc}]/gu, '_')}`, value })),
    user.map((user): Op => ({ op: 'user', user })),
    run,
    copy(stages),
  );
}

/** Specs that break no rule, with stages within stages. */
export function anySpec(depth = 2, around: readonly string[] = []): fc.Arbitrary<Spec> {
  const names = depth === 0 ? fc.constant([]) : fc.array(someText, { maxLength: 2 });
  return names.chain((names) => {
    const stages = names.map(
      (name, index): fc.Arbitrary<Stage> =>
        anySpec(depth - 1, [...around, ...names.slice(0, index)]).map((spec) => ({ name, spec })),
    );
    return fc.record({
      stages: fc.tuple(...stages),
      from: someText.map((text) => text.replace(/\p{Cc}/gu, '-')),
      ops: fc.array(op([...around, ...names]), { maxLength: 4 }),
    });
  });
}
