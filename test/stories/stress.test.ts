import { type BuildEvent, parseSpec } from '@snapstep/core';
import { expectOk } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { forEachCombination, makePlace } from './combination.ts';

const BUILDS = 30;
const AT_ONCE = 10;

/** The same numbers on each run, so that a failure can be looked at again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

forEachCombination('a builder under stress', (combination) => {
  it(`makes ${BUILDS} random builds, ${AT_ONCE} at once, each with its own log, then prunes to nothing [X8]`, {
    timeout: 240_000,
  }, async () => {
    await using place = await makePlace(combination);
    await using world = await place.open({ concurrency: AT_ONCE });
    const next = random(42);
    const chains = Array.from({ length: BUILDS }, () =>
      Array.from({ length: 4 }, () => Math.floor(next() * 3)),
    );
    const work = chains.values();
    const worker = async (): Promise<void> => {
      for (const chain of work) {
        const steps = chain.map(
          (n) =>
            `(run (cache (c (target /cache))) (shell "echo -n ${n} >> /digits; echo -n said; cat /digits; echo -n ' '; echo x >> /cache/x"))`,
        );
        const check = `(run (shell "test $(cat /digits) = ${chain.join('')}"))`;
        const spec = expectOk(parseSpec(`((from busybox) (shell /bin/sh -c) ${steps.join('')} ${check})`));
        const chunks: Uint8Array[] = [];
        const onEvent = (event: BuildEvent): void =>
          void (event.type === 'step-output' && chunks.push(event.chunk));
        await using _result = expectOk(await world.builder.build({ spec, onEvent }));
        const expected = chain.map((_, i) => `said${chain.slice(0, i + 1).join('')} `).join('');
        expect(Buffer.concat(chunks).toString()).toContain(expected);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const distinct = new Set(chains.flatMap((chain) => chain.map((_, i) => chain.slice(0, i + 1).join(''))));
    const checks = new Set(chains.map((chain) => chain.join(''))).size;
    const saved = expectOk(await world.builder.list());
    expect(saved).toHaveLength(1 + distinct.size + checks);
    expect(expectOk(await world.builder.prune({})).removed).toHaveLength(saved.length);
    expect(expectOk(await world.store.list())).toEqual([]);
    for (const id of expectOk(await world.builder.caches.list()))
      expectOk(await world.builder.caches.remove(id));
    expect(expectOk(await world.builder.caches.list())).toEqual([]);
  });
});

forEachCombination('a long spec', (combination) => {
  // Only overlayfs knows how long the chain is, and the runtime does not.
  const length = combination.runtime === 'crun' && combination.store === 'overlayfs' ? 150 : 40;
  it(`has ${length} steps, one on the other [X4] [V2]`, { timeout: 240_000 }, async () => {
    await using place = await makePlace(combination);
    await using world = await place.open();
    const steps = Array.from({ length: length }, (_, i) => `(run (shell "echo ${i} >> /steps"))`).join('\n');
    const last = `(run (shell "test $(wc -l < /steps) = ${length}"))`;
    const spec = expectOk(parseSpec(`((from busybox) (shell /bin/sh -c) ${steps} ${last})`));
    await using result = expectOk(await world.builder.build({ spec }));
    expect(expectOk(await world.builder.list())).toHaveLength(length + 2);
    expect(result.key).toHaveLength(64);
  });
});
