import { expectErr, expectOk } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { placeInSpec } from '../../src/index.ts';
import { built, openWorld, request } from './world.ts';

const QUIET = '((from base) (run (shell go)))';
const NETWORKED = `((build tools
  ((from base)
   (env A 1)
   (run (network host) (shell fetch))))
 (from base)
 (run (shell go))
 (copy (from (build tools)) (src /origin) (dst /copied)))`;

it('lets specs have the network of the host by default', async () => {
  await using world = await openWorld({ go: async () => 0, fetch: async () => 0 });
  await built(world.builder, NETWORKED);
  expect(world.sandbox.ran).toContain('fetch');
});

it('refuses them before anything runs where the builder does, and says which run it was, and where', async () => {
  await using world = await openWorld({ go: async () => 0 }, { hostNetwork: 'refuse' });
  const error = expectErr(await world.builder.build(request(NETWORKED)));
  expect(error).toEqual({
    type: 'refused-network',
    op: { op: 'run', command: 'fetch', network: ['host'], caches: [], secrets: [] },
    path: 'stages[0].spec.ops[1]',
    message: "the host's network is not for specs here: (run (shell fetch) (network host))",
  });
  expect(placeInSpec(NETWORKED, 'path' in error ? error.path : '')).toEqual({ line: 4, column: 4 });
  expect(expectErr(await world.builder.plan(request(NETWORKED)))).toEqual(error);
  expect(expectOk(await world.store.list())).toEqual([]);
  expect(world.sandbox.ran).toEqual([]);
  await built(world.builder, QUIET);
});

it('refuses them also where nobody reads the stage, and in the spec itself', async () => {
  await using world = await openWorld({}, { hostNetwork: 'refuse' });
  const unread = '((build tools ((from base) (run (network host) (shell fetch)))) (from base))';
  const paths = [];
  for (const text of [unread, '((from base) (comment x) (run (network host) (shell fetch)))']) {
    const error = expectErr(await world.builder.build(request(text)));
    paths.push('path' in error && error.path);
  }
  expect(paths).toEqual(['stages[0].spec.ops[0]', 'ops[1]']);
});

it('knows the place of a part in a text, or of what holds it, and none in what is no list', () => {
  expect(placeInSpec(NETWORKED, 'ops[0]')).toEqual({ line: 6, column: 2 });
  expect(placeInSpec(new TextEncoder().encode(NETWORKED), 'ops[0].nothing')).toEqual({ line: 6, column: 2 });
  expect(placeInSpec('((from base', 'ops[0]')).toBeUndefined();
  expect(placeInSpec('; no list\nbase', 'ops[0]')).toBeUndefined();
});
