import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { instrumentAll, source } from './all-mutants.ts';
import { instrument } from './instrument.ts';
import { SURVIVORS } from './survivors.ts';
import './switchboard.ts';
import { board, choose } from './switchboard.ts';
import { parse } from './syntax.ts';

describe('the mutants of a function', () => {
  it.each<readonly [code: string, mutants: readonly string[]]>([
    ['return a < b;', ['a < b → a <= b', 'a < b → a >= b']],
    ['return a && !b;', ['a && !b → a || !b', 'a && !b → a', 'a && !b → !b', '!b → b']],
    ['return a ?? b;', ['a ?? b → a', 'a ?? b → b']],
    ['return a ? b : c;', ['a → true', 'a → false']],
    ['return a?.b[c];', ['a?.b[c] → a.b[c]']],
    ["return f('text', 0, true);", ["'text' → ''", '0 → 1', 'true → false']],
    ['return { a, b: c };', ['{ a, b: c } → { b: c }', '{ a, b: c } → { a }']],
    ['return [a, ...b];', ['[a, ...b] → [...b]', '[a, ...b] → [a]']],
    ['return a.sort();', ['a.sort() → a']],
    ['return f(a, signal);', ['f(a, signal) → f(a, )']],
    ['f(a); return b;', ['f(a); → ∅']],
    ['await f(a); return b;', ['await f(a); → ∅', 'await f(a) → f(a)']],
    ['using a = b; return c;', ['b → __undisposed(b)']],
    ['if (a) return b; return c;', ['a → true', 'a → false']],
    [
      'if (a) throw new Error("a bug"); else f();',
      ['a → true', 'a → false', 'throw new Error("a bug"); → ∅', 'f(); → ∅'],
    ],
    ['debug("said to who debugs"); return a;', []],
  ])('%s', (code, mutants) => {
    const { mutants: found } = instrument(`async function f() { ${code} }`, { file: 'f.ts', firstId: 1 });
    const inner = found.filter(({ whole }) => whole.form !== 'block');
    expect(inner.map(({ name }) => name)).toEqual(mutants);
  });

  it('are known by the function, the change and its number there', () => {
    const text = 'class A {\n  #b(c) {\n    f(0);\n    return f(0);\n  }\n}';
    const { mutants } = instrument(text, { file: 'a.ts', firstId: 7 });
    expect(mutants.map(({ id, line, within, name }) => [id, line, within, name]).slice(1)).toEqual([
      [8, 3, 'A.#b', 'f(0); → ∅'],
      [9, 3, 'A.#b', '0 → 1'],
      [10, 4, 'A.#b', '0 → 1 #2'],
    ]);
  });
});

describe('a module with its mutants in it', () => {
  it('does as it was written where none is chosen, and otherwise as that one says', async () => {
    const text = `
      const LIMIT = 10;
      export function check(value: number, more?: { add: number }) {
        if (value + (more?.add ?? 0) > LIMIT) return 'much';
        return 'little';
      }`;
    const { mutants, code } = instrument(text, { file: 'check.ts', firstId: 1 });
    const { check } = await load(code);
    const answers = (): string[] => [check(10), check(11), check(9, { add: 2 }), check(-5)];
    choose(0);
    expect(answers()).toEqual(['little', 'much', 'much', 'little']);
    const seen = new Map<string, string>();
    for (const { id, name } of mutants) {
      choose(id);
      try {
        seen.set(name, answers().join(' '));
      } catch {
        seen.set(name, 'throws');
      }
    }
    choose(0);
    expect(answers()).toEqual(['little', 'much', 'much', 'little']);
    expect(Object.fromEntries(seen)).toMatchObject({
      'value + (more?.add ?? 0) > LIMIT → value + (more?.add ?? 0) >= LIMIT': 'much much much little',
      'value + (more?.add ?? 0) > LIMIT → true': 'much much much much',
      'more?.add → more.add': 'throws',
      '10 → 0': 'much much much little',
      "'little' → ''": ' much much ',
    });
  });

  it('tells which of them it came to, and ends a loop that one of them made endless', async () => {
    const text =
      'export function check(n) { let sum = 0; for (let i = 0; i < n; i += 1) sum += i; return sum; }';
    const { mutants, code } = instrument(text, { file: 'check.ts', firstId: 1 });
    const { check } = await load(code);
    board.asked.clear();
    check(3);
    expect([...board.asked].sort((a, b) => a - b)).toEqual(mutants.map(({ id }) => id));
    choose(mutants.find(({ name }) => name === 'i += 1 → i -= 1')?.id ?? 0);
    board.calls = 0;
    board.mostCalls = 1000;
    expect(() => check(3)).toThrow('it goes on and on');
    board.mostCalls = Number.POSITIVE_INFINITY;
    choose(0);
  });
});

describe('the targets', () => {
  const all = instrumentAll();

  it.each([...all.keys()])('%s is a program, with all its mutants and with each of them alone', (file) => {
    const { mutants, code } = all.get(file) ?? { mutants: [], code: '' };
    const text = readFileSync(join(source, file), 'utf8');
    expect(mutants.length).toBeGreaterThan(0);
    parse(file, code);
    for (const { part, to } of mutants) parse(file, text.slice(0, part.start) + to + text.slice(part.end));
  });

  it('have every survivor that is listed, once and with a reason', () => {
    for (const [file, listed] of Object.entries(SURVIVORS)) {
      const names = (all.get(file)?.mutants ?? []).map(({ within, name }) => `${within}: ${name}`);
      const expected = listed.flatMap((one) => one.names.map((name) => `${one.within}: ${name}`));
      expect(expected.filter((one) => !names.includes(one))).toEqual([]);
      expect(new Set(expected).size).toBe(expected.length);
      for (const { why } of listed) expect(why.length).toBeGreaterThan(10);
    }
  });
});

async function load(code: string): Promise<{ check: (...values: unknown[]) => string }> {
  const text = stripTypeScriptTypes(code);
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}
