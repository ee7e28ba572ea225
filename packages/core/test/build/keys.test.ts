import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type StepKey, toHostPath } from '../../src/index.ts';
import type { ScriptedCommand } from '../../src/testing/index.ts';
import { built, openWorld, writeTree } from './world.ts';

/** Every op, with everything that it can have. */
const SPEC = `((build stage ((from base) (run (shell make))))
  (from base)
  (env NAME value)
  (workdir /work)
  (user (uid 1) (gid 2))
  (shell /bin/sh -c)
  (run (network host) (cache (apt (target /cache))) (secrets (token (target /token))) (shell go))
  (copy (src one) (dst /in/) (exclude left))
  (copy (from (build stage)) (src out) (dst /out/) (exclude left))
  (run (shell end)))`;

/** Each changes one thing that a step may see. */
const CHANGES: readonly (readonly [what: string, from: string, to: string])[] = [
  ['the image', '\n  (from base)', '\n  (from other)'],
  ['the name of a variable', '(env NAME value)', '(env NAME2 value)'],
  ['the value of a variable', '(env NAME value)', '(env NAME other)'],
  ['a variable more', '(env NAME value)', '(env NAME value) (env MORE "")'],
  ['the working directory', '(workdir /work)', '(workdir /work2)'],
  ['a relative working directory', '(workdir /work)', '(workdir /work) (workdir sub)'],
  ['the user', '(uid 1)', '(uid 3)'],
  ['the group', '(gid 2)', '(gid 3)'],
  ['the shell', '(shell /bin/sh -c)', '(shell /bin/bash -c)'],
  ['a word of the shell', '(shell /bin/sh -c)', '(shell /bin/sh -e -c)'],
  ['no shell', '(shell /bin/sh -c)', ''],
  ['the command', '(shell go)', '(shell go2)'],
  ['no network', '(network host)', ''],
  ['the name of a cache', '(apt (target', '(apt2 (target'],
  ['the place of a cache', '(target /cache)', '(target /cache2)'],
  ['no cache', '(cache (apt (target /cache)))', ''],
  ['the name of a secret', '(token (target', '(token2 (target'],
  ['the place of a secret', '(target /token)', '(target /token2)'],
  ['no secret', '(secrets (token (target /token)))', ''],
  ['what is copied', '(src one)', '(src two)'],
  ['more that is copied', '(src one)', '(src one two)'],
  ['the order of what is copied', '(src one two)', '(src two one)'],
  ['where it is copied to', '(dst /in/)', '(dst /in2/)'],
  ['under which name it is copied', '(dst /in/)', '(dst /in)'],
  ['what of it is left out', '(dst /in/) (exclude left)', '(dst /in/) (exclude right)'],
  ['nothing of it is left out', '(dst /in/) (exclude left)', '(dst /in/)'],
  ['what is copied from a stage', '(src out)', '(src out2)'],
  ['where it is copied to from a stage', '(dst /out/)', '(dst /out2/)'],
  ['under which name it is copied from a stage', '(dst /out/)', '(dst /out)'],
  ['what is left out of a stage', '(dst /out/) (exclude left)', '(dst /out/) (exclude right)'],
  ['where a copy is from', '(from (build stage)) (src out)', '(src one)'],
  ['what a stage makes', '(shell make)', '(shell make2)'],
  ['an op less', '(copy (src one) (dst /in/) (exclude left))', ''],
  ['an op twice', '(run (shell end))', '(run (shell end)) (run (shell end))'],
];

/** https://nvd.nist.gov/vuln/detail/CVE-2024-24557: a cache that missed some of what an instruction says. */
describe('the key of a build', () => {
  it.each(CHANGES)('changes with %s [C15]', async (_, from, to) => {
    await using place = await openPlace();
    const before = SPEC.includes(from) ? SPEC : SPEC.replace('(src one)', '(src one two)');
    expect(before.split(from)).toHaveLength(2);
    const first = await place.key(before);
    expect(await place.key(before)).toBe(first);
    expect(await place.key(before.replace(from, to))).not.toBe(first);
  });

  it('does not change with a comment, nor with a stage that nobody uses', async () => {
    await using place = await openPlace();
    const first = await place.key(SPEC);
    expect(await place.key(SPEC.replace('(env', '(comment "hello") (env'))).toBe(first);
    const unused = '((build unused ((from base) (run (shell make))))\n  (build stage';
    expect(await place.key(SPEC.replace('((build stage', unused))).toBe(first);
  });
});

interface Place extends AsyncDisposable {
  /** Builds a spec, over whatever was built before. */
  readonly key: (spec: string) => Promise<StepKey>;
}

/** Files that differ wherever the specs do. */
async function openPlace(): Promise<Place> {
  const made: ScriptedCommand = async ({ root, request: { argv } }) => {
    const files = { left: `${argv}`, right: `${argv}`, kept: `${argv}` };
    for (const name of ['out', 'out2']) {
      await mkdir(join(root, name));
      await writeTree(join(root, name), { ...files, name });
    }
    return 0;
  };
  const world = await openWorld({
    ...{ make: made, make2: made },
    ...Object.fromEntries(['go', 'go2', 'end'].map((name) => [name, async () => 0])),
  });
  const context = toHostPath(join(world.dir, 'context'));
  for (const name of ['one', 'two']) await writeTree(join(context, name), { left: 'l', right: 'r', name });
  const secrets = new Map(['token', 'token2'].map((id) => [id, Buffer.from('value')]));
  return {
    key: (spec) => built(world.builder, spec, { context, secrets }),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}
