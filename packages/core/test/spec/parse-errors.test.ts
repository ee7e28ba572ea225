import { expectErr } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { checkSpec, parseSpec, type Spec } from '../../src/spec/index.ts';
import { type Case, told } from './told.ts';

const readerErrors: readonly Case[] = [
  ['', '1:1 there is no spec in this text'],
  ['; nothing\n', '2:1 there is no spec in this text'],
  ['\n\n((from a)', '3:1 this "(" is never closed'],
  ['((from a)))', '1:11 this ")" closes nothing'],
  ['((from a)) b', '1:12 only comments may follow the end of the spec'],
  ['((from a)) ((from b))', '1:12 only comments may follow the end of the spec'],
  ['((from "a))', '1:8 this string is never closed: its second quote is missing'],
  ['((from a) #| #| |# )', '1:11 this block comment is never closed: "|#" is missing'],
  ['((from a) #| " |# )', '1:14 this string is never closed: its second quote is missing'],
  ['((from a) #;)', '1:11 nothing follows "#;" that it could discard'],
  ['#;', '1:1 nothing follows "#;" that it could discard'],
  ['((from a)\r(run))', '1:10 a carriage return must be followed by a line feed'],
  ['((from a#|b))', '1:9 a text with "#|" or "|#" in it must be quoted'],
  ['((from a|#b))', '1:9 a text with "#|" or "|#" in it must be quoted'],
  ['((from "\\1a"))', '1:9 "\\" and a digit must be a number of three digits'],
  ['((from "\\300"))', '1:9 "\\300" is more than one byte, 255'],
  ['((from "\\xg0"))', '1:9 "\\x" must be followed by two hex digits'],
  ['((from "\u00e9" \n "\\255"))', '2:2 this text is not valid UTF-8'],
  ['('.repeat(201), '1:201 lists nest more than 200 deep here'],
  ['\ufeff((from a))', '1:1 the text starts with a byte order mark; save it as UTF-8 without one'],
  ['((from "\ud800"))', '1:9 half of a surrogate pair is not a character'],
];

const structureErrors: readonly Case[] = [
  ['spec', '1:1 a spec is a list, ((from IMAGE) OP ...); this is the text "spec"'],
  ['()', '1:1 this spec lacks (from IMAGE), its base image'],
  ['(from a)', '1:1 a spec is a list of lists, ((from IMAGE) OP ...); a pair of parentheses is missing'],
  ['((run (shell x)))', '1:3 (run ...) must come after (from IMAGE)'],
  ['((run (shell x)) (from a))', '1:3 (run ...) must come after (from IMAGE)'],
  [
    '((biuld x ((from a))) (from b))',
    '1:3 only (build NAME SPEC) may come before (from IMAGE), not "biuld": did you mean "build"?',
  ],
  ['((from))', '1:2 (from IMAGE) takes exactly one text, not 0'],
  ['((from a b))', '1:2 (from IMAGE) takes exactly one text, not 2'],
  ['((from (a)))', '1:8 (from IMAGE) takes texts, not a list'],
  ['((from ""))', '1:8 the base image is empty'],
  ['((from "a\\nb"))', '1:8 the base image may not contain control characters'],

  ['((from a) (from b))', '1:12 a spec has only one (from IMAGE)'],
  ['((from a) (build x ((from b))))', '1:12 (build NAME SPEC) must come before (from IMAGE)'],
  ['((build x) (from b))', '1:2 (build NAME SPEC) takes a name and a spec'],
  ['((build x ((from a)) y) (from b))', '1:2 (build NAME SPEC) takes a name and a spec'],
  ['((build (x) ((from a))) (from b))', '1:2 (build NAME SPEC) takes a name and a spec'],
  ['((build "" ((from a))) (from b))', '1:9 the name of a stage is empty'],
  [
    '((build x (from a)) (from b))',
    '1:11 a spec is a list of lists, ((from IMAGE) OP ...); a pair of parentheses is missing',
  ],
  [
    '((build x ((form a))) (from b))',
    '1:13 only (build NAME SPEC) may come before (from IMAGE), not "form": did you mean "from"?',
  ],
  ['((from a) run)', '1:11 here belongs a list, such as (run (shell "make")), not the text "run"'],
  ['((from a) ())', '1:11 this list must start with a name, as (run (shell "make")) does'],
  ['((from a) ((run)))', '1:11 this list must start with a name, as (run (shell "make")) does'],
];

const opErrors: readonly Case[] = [
  ['((from a) (rnu (shell x)))', '1:12 there is no op "rnu": did you mean "run"?'],
  ['((from a) (wokdir x))', '1:12 there is no op "wokdir": did you mean "workdir"?'],
  [
    '((from a) (add x y))',
    '1:12 there is no op "add"; the ops are comment, copy, env, run, shell, user and workdir',
  ],
  ['((from a) (Run (shell x)))', '1:12 op names are lower-case: write "run", not "Run"'],
  ['((from a) (COPY (src a) (dst b)))', '1:12 op names are lower-case: write "copy", not "COPY"'],
  ['((from a)\n (comment))', '2:2 (comment TEXT) takes exactly one text, not 0'],
  ['((from a) (comment a b))', '1:11 (comment TEXT) takes exactly one text, not 2'],
  ['((from a) (comment (a)))', '1:20 (comment TEXT) takes texts, not a list'],
  ['((from a) (workdir))', '1:11 (workdir DIR) takes exactly one text, not 0'],
  ['((from a) (workdir ""))', '1:20 the working directory is empty'],
  ['((from a) (env A))', '1:11 (env NAME VALUE) takes exactly 2 texts, not 1'],
  ['((from a) (env A b c))', '1:11 (env NAME VALUE) takes exactly 2 texts, not 3'],
  ['((from a) (env "" b))', '1:16 the name of an environment variable is empty'],
  [
    '((from a) (env A=B c))',
    '1:16 "A=B" cannot name an environment variable: "=", white space and control characters are not allowed',
  ],
  [
    '((from a) (env "A B" c))',
    '1:16 "A B" cannot name an environment variable: "=", white space and control characters are not allowed',
  ],
  ['((from a) (env A "b\\000"))', '1:18 a text may not contain the NUL character'],
  ['((from a) (shell a (b)))', '1:20 (shell ARG ...) takes texts, not a list'],
  ['((from a) (shell a "\\x00"))', '1:20 a text may not contain the NUL character'],
];

const userErrors: readonly Case[] = [
  ['((from a) (user))', '1:11 a user is written (user (uid N) (gid N)) or (user (name NAME))'],
  ['((from a) (user bob))', '1:17 here belongs a list, such as (uid 1000), not the text "bob"'],
  ['((from a) (user (uid 1)))', '1:11 a user is written (user (uid N) (gid N)) or (user (name NAME))'],
  ['((from a) (user (gid 1) (uid 1)))', '1:11 (user ...) takes (uid N) first, then (gid N)'],
  ['((from a) (user (uid 0x10) (gid 1)))', '1:22 "0x10" is not a decimal number from 0 to 4294967294'],
  [
    '((from a) (user (uid 1) (gid 4294967295)))',
    '1:30 "4294967295" is not a decimal number from 0 to 4294967294',
  ],
  ['((from a) (user (uid -1) (gid 1)))', '1:22 "-1" is not a decimal number from 0 to 4294967294'],
  ['((from a) (user (uid 1_0) (gid 1)))', '1:22 "1_0" is not a decimal number from 0 to 4294967294'],
  ['((from a) (user (name "")))', '1:23 the name of a user is empty'],
  ['((from a) (user (name a:b)))', '1:23 the name of a user may not contain ":" or a line feed'],
  [
    '((from a) (user (name a) (gid 1)))',
    '1:11 a user is written (user (uid N) (gid N)) or (user (name NAME))',
  ],
  [
    '((from a) (user (uid 99999999999999999999) (gid 1)))',
    '1:22 "99999999999999999999" is not a decimal number from 0 to 4294967294',
  ],
];

describe('an error in the reader', () => {
  it.each(readerErrors)('of %j is told in full', (text, error) => {
    expect(told(text)).toBe(error);
  });
});

describe('an error in the structure', () => {
  it.each(structureErrors)('of %j is told in full', (text, error) => {
    expect(told(text)).toBe(error);
  });
});

describe('an error in an op', () => {
  it.each(opErrors)('of %j is told in full', (text, error) => {
    expect(told(text)).toBe(error);
  });
});

describe('an error in a user', () => {
  it.each(userErrors)('of %j is told in full', (text, error) => {
    expect(told(text)).toBe(error);
  });
});

describe('an error', () => {
  it('counts columns in bytes', () => {
    expect(told('((from "日本") (x))')).toMatch(/^1:19 /);
  });

  it('is told of bytes as of a string', () => {
    const { line, column } = expectErr(parseSpec(Uint8Array.from([0x28, 0x0a, 0x20, 0xff])));
    expect({ line, column }).toEqual({ line: 2, column: 2 });
  });

  it.each(['', '../../etc', 'a/../../b', 'a b', '..', '.', 'A', 'a'.repeat(238)])(
    'is not made for the cache id %j (C12, C14)',
    (id) => {
      expect(parseSpec(`((from a) (run (cache ("${id}" (target /x))) (shell x)))`).isOk()).toBe(true);
    },
  );

  it.each(['a\\000b', 'a'.repeat(239), 'a'.repeat(300), '/'.repeat(80)])(
    'is made for the cache id %j (C14)',
    (id) => {
      expect(told(`((from a) (run (cache ("${id}" (target /x))) (shell x)))`)).toMatch(/^1:24 /);
    },
  );

  // https://nvd.nist.gov/vuln/detail/CVE-2024-23653: a build got rights that nobody had granted.
  it.each([
    ...['(privileged)', '(security insecure)', '(capabilities CAP_SYS_ADMIN)', '(devices /dev/kmsg)'],
    ...['(network bridge)', '(network host host)', '(network container)', '(volumes /)', '(pid host)'],
    ...['(cache (c (target /c) (source /etc)))', '(secrets (s (target /s) (mode 0777)))'],
  ])('is made for what would give a command more rights: %s (C11)', (asked) => {
    expect(told(`((from a) (run ${asked} (shell x)))`)).toMatch(/^1:\d+ .*(has no field|network)/);
  });

  it('is made for rights in a spec that is plain data (C11)', () => {
    const op = { op: 'run', command: 'x', network: [], caches: [], secrets: [] };
    for (const more of [{ privileged: true }, { capabilities: ['ALL'] }, { network: ['bridge'] }]) {
      const spec = { stages: [], from: 'a', ops: [{ ...op, ...more }] } as unknown as Spec;
      expect(expectErr(checkSpec(spec)).message).toMatch(/^ops\[0\]/);
    }
  });

  it('is made for a number of stages within stages that is too much for the stack', () => {
    expect(told(`${'((build a '.repeat(60_000)}`)).toMatch(/nest more than 200 deep/);
  });
});
