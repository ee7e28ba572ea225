import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalJson,
  type KeyedInputs,
  stepKey,
  toCacheId,
  toStepKey,
  toVolumeName,
} from '../../src/index.ts';
import { differences } from '../../src/plan/explain.ts';

const parent = toStepKey('0'.repeat(64));

const run: KeyedInputs = {
  op: 'run',
  parent,
  argv: ['sh', '-c', 'make'],
  cwd: '/src',
  env: { A: '1', B: '2' },
  user: { uid: 1, gid: 2 },
  network: 'none',
  caches: [{ id: toCacheId('apt'), target: '/var/cache' }],
  secrets: [{ id: 'token', target: '/run/token', version: '1' }],
};
const copy: KeyedInputs = { op: 'copy', parent, manifest: 'ab', target: '/x/', user: { name: 'me' } };
const base: KeyedInputs = {
  op: 'base',
  digest: 'sha256:1',
  platform: 'linux/amd64',
  layout: [toVolumeName('rootfs')],
};

describe('a step key', () => {
  it('is the same for ever: these are pinned', () => {
    expect([run, copy, base].map(stepKey)).toEqual([
      'a5161cfe5660f80dae9bfb706fc7d3ef0928fe9826cb367c948870762717f24b',
      'a93a071a0ca167a79bafabd9e97550e85bd34359beacd6e64929e1e034830e8d',
      'bea455883d6c3b257a7de986c942628db56ce968009da8f9aacb00781e2011ca',
    ]);
  });

  it('changes with every single thing that goes into it [C15]', () => {
    for (const inputs of [run, copy, base]) {
      const changed = mutations(inputs).map((one) => stepKey(one as KeyedInputs));
      expect(new Set([stepKey(inputs), ...changed]).size).toBe(changed.length + 1);
    }
  });

  it('does not depend on the order of the environment, and each name has one value [R14] [R15]', () => {
    expect(stepKey({ ...run, env: { B: '2', A: '1' } })).toBe(stepKey(run));
  });

  it('does not depend on whether what is absent is undefined or not there', () => {
    expect(canonicalJson({ user: undefined, op: 'run', in: [{ a: undefined }] })).toBe(
      '{"in":[{}],"op":"run"}',
    );
  });

  it('is made of canonical text, which reads back as the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(canonicalJson(value)))).toBe(canonicalJson(value));
      }),
    );
  });
});

describe('an explanation', () => {
  it('names each place where two steps differ', () => {
    const other = { ...run, env: { A: '1', C: '3' }, argv: ['sh', '-c', 'make all'] };
    expect(differences(run, other)).toEqual([
      { path: 'argv[2]', was: 'make', is: 'make all' },
      { path: 'env.B', was: '2', is: undefined },
      { path: 'env.C', was: undefined, is: '3' },
    ]);
  });
});

/** The value with each of its leaves changed, left out, or doubled, one at a time. */
function mutations(value: unknown): unknown[] {
  if (Array.isArray(value)) {
    const inner = value.flatMap((item, i) => mutations(item).map((changed) => value.with(i, changed)));
    return [...inner, [...value, 'more'], ...(value.length > 0 ? [value.slice(1)] : [])];
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([name, member]) => {
      const { [name]: _, ...rest } = value as Record<string, unknown>;
      return [rest, ...mutations(member).map((changed) => ({ ...value, [name]: changed }))];
    });
  }
  return [`${value}!`];
}
