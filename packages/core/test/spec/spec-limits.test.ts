import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { checkSpec, parseSpec, type Spec, type SpecLimits } from '../../src/index.ts';
import { built, openWorld, request } from '../build/world.ts';

const runs = (n: number): string => `((from a) ${'(run (shell x))'.repeat(n)})`;
const variables = (n: number): string => `((from a) (env N ${'v'.repeat(89)})${'(run (shell x))'.repeat(n)})`;
const stages = (n: number): string => `(${'(build s ((from a)))'.repeat(n)}(from a))`;
const deep = (n: number): string => (n === 0 ? '((from a))' : `((build s ${deep(n - 1)})(from a))`);

describe('a spec', () => {
  it.each<readonly [limit: keyof SpecLimits, text: (n: number) => string, message: string]>([
    ['ops', runs, 'the spec has more than 3 ops (the limit "ops")'],
    ['stages', stages, 'the spec has more than 3 stages (the limit "stages")'],
    ['depth', deep, 'stages nest more than 3 deep here (the limit "depth")'],
  ])('has no more %s than its limit, and is told where it has', (limit, text, message) => {
    expectOk(parseSpec(text(3), { [limit]: 3 }));
    expectOk(checkSpec(expectOk(parseSpec(text(3))), { [limit]: 3 }));
    expect(expectErr(parseSpec(text(4), { [limit]: 3 }))).toMatchObject({ message, line: 1 });
    const error = expectErr(checkSpec(expectOk(parseSpec(text(4))), { [limit]: 3 }));
    expect(error.message).toMatch(/^(ops|stages)\[.*: /);
    expect(error.message).toContain(message);
  });

  it('has environments of all its steps together that are no larger than their limit', () => {
    const message = 'the spec has more than 300 bytes in the environments of its steps';
    expectOk(parseSpec(variables(3), { environmentBytes: 300 }));
    const error = expectErr(parseSpec(variables(4), { environmentBytes: 300 }));
    expect(error).toMatchObject({
      message: `${message} (the limit "environmentBytes")`,
      line: 1,
      column: 153,
    });
  });

  it('counts a variable once for a step, however often it is set', () => {
    const text = `((from a) ${`(env N ${'v'.repeat(89)})`.repeat(5)}(run (shell x)))`;
    expectOk(parseSpec(text, { environmentBytes: 100 }));
    expectErr(parseSpec(text, { environmentBytes: 99 }));
  });

  it('has no longer text than its limit', () => {
    const text = '((from é))';
    expectOk(parseSpec(text, { bytes: 11 }));
    const message = 'the spec has more than 10 bytes of text (the limit "bytes")';
    expect(expectErr(parseSpec(text, { bytes: 10 }))).toEqual({ message });
  });

  it('has no more words and lists in its text than its limit, whatever they are', () => {
    const message = 'the spec has more than 7 texts (the limit "texts")';
    expectOk(parseSpec('((from a) (shell b))', { texts: 7 }));
    for (const more of ['(shell b c)', '(comment (x))', '#;x (shell b)'])
      expect(expectErr(parseSpec(`((from a) ${more})`, { texts: 7 }))).toMatchObject({ message, line: 1 });
    expect(expectErr(parseSpec('((from a)\n (shell b c))', { texts: 7 }))).toEqual({
      message,
      line: 2,
      column: 11,
    });
    const spec = expectOk(parseSpec('((from a) (shell b c))'));
    expectOk(checkSpec(spec, { texts: 4 }));
    expect(expectErr(checkSpec(spec, { texts: 3 })).message).toBe(
      'ops[0].argv[1]: the spec has more than 3 texts (the limit "texts")',
    );
  });

  it('that was not read from text has no more in its own texts and lists', () => {
    const spec: Spec = { stages: [], from: 'abc', ops: [{ op: 'shell', argv: ['', ''] }] };
    const size = 'abc'.length + 'shell'.length + 3;
    expectOk(checkSpec(spec, { bytes: size }));
    expect(expectErr(checkSpec(spec, { bytes: size - 1 })).message).toBe(
      `ops[0].argv: the spec has more than ${size - 1} bytes of text (the limit "bytes")`,
    );
  });

  it('that holds one stage twice on every level is not walked to its end', () => {
    let spec: Spec = { stages: [], from: 'a', ops: [] };
    for (let level = 0; level < 60; level += 1) {
      const stage = { name: `s${level}`, spec };
      spec = { stages: [stage, stage], from: 'a', ops: [] };
    }
    expect(expectErr(checkSpec(spec)).message).toContain('more than 250 stages');
  });

  it('is checked by a builder against the limits that it was opened with', async () => {
    await using here = await openWorld({}, { specLimits: { ops: 2 } });
    await built(here.builder, '((from base) (workdir /) (comment x))');
    expect(expectErr(await here.builder.build(request(runs(3))))).toMatchObject({
      type: 'invalid-spec',
      message: 'ops[2]: the spec has more than 2 ops (the limit "ops")',
    });
  });

  it('has limits that are numbers, or nothing is read', () => {
    for (const ops of [-1, Number.NaN]) {
      expect(() => parseSpec('((from a))', { ops })).toThrow(RangeError);
      expect(() => checkSpec({ stages: [], from: 'a', ops: [] }, { ops })).toThrow(RangeError);
    }
  });

  it('has a working directory that is no longer than a path may be', () => {
    const directory = 'd'.repeat(100);
    const text = (n: number) => `((from a) ${`(workdir ${directory})`.repeat(n)})`;
    expectOk(parseSpec(text(40)));
    expect(expectErr(parseSpec(text(41))).message).toBe(
      'the working directory is longer than 4096 characters, as no path may be',
    );
    expectOk(parseSpec(`((from a) ${`(workdir /${directory})`.repeat(50)})`));
  });
});
