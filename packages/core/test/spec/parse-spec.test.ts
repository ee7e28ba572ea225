import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import * as make from '../../src/spec/index.ts';
import {
  checkSpec,
  type Op,
  parseSpec,
  printSpec,
  type Spec,
  titleOf,
  toDockerfile,
} from '../../src/spec/index.ts';

const everyOp = `((build dev
   ((from debian:12)
    (run (shell "set -e\\n  \\
                 make\\n\\
                 \\n\\
                 make check\\n"))))
 (from docker://alpine)
 (comment "tools; and more")
 (shell /bin/sh -c)
 (env PATH "/opt/my tools:/bin")
 (workdir src)
 (user (uid 1000) (gid 100))
 (run
  (cache (apt (target /var/cache/apt) (buildkit_options ((sharing locked)))) (b (target /b)))
  (network host)
  (secrets (token (target /run/token)))
  (shell "make check"))
 (user (name root))
 (copy (src a "b c") (dst /x/) (exclude .git _build))
 (copy (from (build dev)) (src /usr/bin/tool) (dst /usr/bin/tool)))
`;

const made: Spec = make.spec(
  'docker://alpine',
  make.stage('dev', make.spec('debian:12', make.run('set -e\n  make\n\nmake check\n'))),
  make.comment('tools; and more'),
  make.shell('/bin/sh', '-c'),
  make.env('PATH', '/opt/my tools:/bin'),
  make.workdir('src'),
  make.user({ uid: 1000, gid: 100 }),
  make.run('make check', {
    network: ['host'],
    caches: [
      make.cache('apt', '/var/cache/apt', { buildkitOptions: [['sharing', 'locked']] }),
      make.cache('b', '/b'),
    ],
    secrets: [make.secret('token', '/run/token')],
  }),
  make.user('root'),
  make.copy(['a', 'b c'], '/x/', { exclude: ['.git', '_build'] }),
  make.copy('/usr/bin/tool', '/usr/bin/tool', { from: 'dev' }),
);

describe('a spec with every op', () => {
  it('is read as what the functions make', () => {
    expect(expectOk(parseSpec(everyOp))).toEqual(made);
  });

  it('is read from bytes as well', () => {
    expect(expectOk(parseSpec(new TextEncoder().encode(everyOp)))).toEqual(made);
  });

  it('is printed in the canonical layout', () => {
    expect(printSpec(made)).toBe(everyOp);
  });

  it('breaks no rule', () => {
    expectOk(checkSpec(made));
  });
});

describe('reading', () => {
  const opOf = (atom: string): Op | undefined => expectOk(parseSpec(`((from a) (comment ${atom}))`)).ops[0];

  it.each([
    ['a#b', 'a#b'],
    ['#', '#'],
    ['|', '|'],
    ["it's", "it's"],
    ['`,{[', '`,{['],
    ['a\\b', 'a\\b'],
    ['"\\n\\t\\b\\r\\\\\\"\\\'"', '\n\t\b\r\\"\''],
    ['"\\065\\x42"', 'AB'],
    ['"\\206\\187"', 'λ'],
    ['"\\q\\ "', '\\q\\ '],
    ['"a\\\n \t b"', 'ab'],
    ['"a\\\r\n b"', 'ab'],
    ['"a\nb"', 'a\nb'],
    ['日本', '日本'],
  ])('takes %j for the text %j', (atom, text) => {
    expect(opOf(atom)).toEqual(make.comment(text));
  });

  it('ends a text at a quote', () => {
    expect(expectOk(parseSpec('((from a)(env A"b"))')).ops).toEqual([make.env('A', 'b')]);
  });

  it('skips comments of a line, of a block and of a datum', () => {
    const text = '; one\r\n#| two #| three |# "|#" |#((from a)#;(run (nonsense)) #;#;(x) y (workdir /))\f';
    expect(expectOk(parseSpec(text))).toEqual(make.spec('a', make.workdir('/')));
  });

  it('does not mind other bytes than UTF-8 in a comment', () => {
    expectOk(parseSpec(Buffer.from('; caf\xe9\n((from a))', 'latin1')));
  });

  it('lets an inner stage copy from the stages before it, and a later stage hide an earlier one', () => {
    const text = `((build a ((from x))) (build a ((build c ((from x) (copy (from (build a)) (src f) (dst /))))
      (from x) (copy (from (build a)) (src f) (dst /)) (copy (from (build c)) (src f) (dst /))))
      (from y) (copy (from (build a)) (src f) (dst /)))`;
    expect(expectOk(parseSpec(text)).stages.map((stage) => stage.name)).toEqual(['a', 'a']);
  });

  it('takes an empty shell, and empty lists for no lists', () => {
    const text =
      '((from a) (shell) (run (cache) (network) (secrets) (shell "")) (copy (src .) (dst x) (exclude)))';
    expect(expectOk(parseSpec(text)).ops).toEqual([make.shell(), make.run(''), make.copy('.', 'x')]);
  });

  it('takes a source and the name of a cache that are empty, as OBuilder does', () => {
    const text = '((from a) (copy (src "") (dst x)) (run (cache ("" (target /x))) (shell y)))';
    const spec = expectOk(parseSpec(text));
    const { ops } = spec;
    expect(ops).toEqual([make.copy('', 'x'), make.run('y', { caches: [make.cache('', '/x')] })]);
    expect(expectOk(parseSpec(printSpec(spec)))).toEqual(spec);
    expect(toDockerfile(spec).text).toContain('COPY . x\n');
  });
});

describe('a title', () => {
  it('is the op as it is printed, its command first', () => {
    expect(titleOf(make.run('make check', { network: ['host'] }))).toBe(
      '(run (shell "make check") (network host))',
    );
    expect(titleOf({ op: 'base', image: 'debian:12' })).toBe('(from debian:12)');
  });

  it('is shortened to 100 characters, and cuts none in two', () => {
    const title = titleOf(make.run('👍'.repeat(200)));
    expect([...title]).toHaveLength(100);
    expect(title.endsWith('👍…')).toBe(true);
  });

  it('has no line breaks and no control characters', () => {
    expect(titleOf(make.run('a\nb\r\x1b[31m'))).toBe('(run (shell "a\\nb\\r\\027[31m"))');
  });
});

describe('a spec that is made by hand', () => {
  const problemOf = (spec: unknown): string => expectErr(checkSpec(spec as Spec)).message;
  const nested = (depth: number): Spec =>
    depth === 0 ? make.spec('a') : make.spec('a', make.stage('s', nested(depth - 1)));

  it.each([
    [null, 'expected an object, found null'],
    [{ from: 'a', ops: [] }, 'stages: expected an array, found undefined'],
    [{ stages: [], from: 1, ops: [] }, 'from: expected a string, found number'],
    [{ stages: [], from: 'a', ops: [], op: 1 }, 'there is no field "op": did you mean "ops"?'],
    [{ stages: [], from: 'a', ops: [{ op: 'rum' }] }, 'ops[0].op: there is no op "rum": did you mean "run"?'],
    [
      { stages: [], from: 'a', ops: [{ op: 'user', user: { uid: '0', gid: 0 } }] },
      'ops[0].user.uid: expected a number, found "0"',
    ],
    [
      make.spec('a', make.user({ uid: 0.5, gid: 0 })),
      'ops[0].user.uid: 0.5 is not a whole number from 0 to 4294967294',
    ],
    [
      make.spec('a', make.user({ uid: 0, gid: 2 ** 32 - 1 })),
      'ops[0].user.gid: 4294967295 is not a whole number from 0 to 4294967294',
    ],
    [make.spec('a', make.run('\ud800')), 'ops[0].command: half of a surrogate pair is not a character'],
    [
      make.spec('a', make.run('x', { network: ['none' as 'host'] })),
      'ops[0].network[0]: there is no network "none": a run has (network host) or none at all',
    ],
    [
      make.spec('b', make.stage('s', make.spec('a', make.copy(['x', '../y'], '/')))),
      'stages[0].spec.ops[0].src[1]: the source "../y" may not contain ".."',
    ],
    [make.spec('a', make.copy([], '/')), 'ops[0].src: a copy needs at least one source'],
    [
      make.spec('a', make.copy('x', '/', { from: 's' })),
      'ops[0].from.stage: no stage before this copy is named "s"; there is none',
    ],
  ])('is refused: %j', (spec, message) => {
    expect(problemOf(spec)).toBe(message);
  });

  it('may have 64 stages within stages, which can be printed and read', () => {
    const spec = nested(64);
    expectOk(checkSpec(spec));
    expect(expectOk(parseSpec(printSpec(spec)))).toEqual(spec);
  });

  it('is refused if it has more, or contains itself', () => {
    expect(problemOf(nested(65))).toMatch(/stages nest more than 64 deep here \(the limit "depth"\)$/);
    const stages: unknown[] = [];
    const spec = { stages, from: 'a', ops: [] };
    stages.push({ name: 's', spec });
    expect(problemOf(spec)).toMatch(/stages nest more than 64 deep here \(the limit "depth"\)$/);
  });
});
