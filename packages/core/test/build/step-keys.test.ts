import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { built, listen, openWorld, readResult, request, writes } from './world.ts';

/** A copy of what a stage made of what another one made. */
const NESTED = `((build s ((from base) (run (shell a))))
  (build t ((from base) (copy (from (build s)) (src out) (dst /out))))
  (from base) (copy (from (build t)) (src out) (dst /out)))`;

describe('the keys of a build', () => {
  it('are not known after a copy from a stage that itself copies what was never made', async () => {
    await using world = await openWorld({ a: writes('out') });
    const known = async () =>
      expectOk(await world.builder.plan(request(NESTED))).map(({ stage, key }) => [stage, key !== undefined]);
    expect(await known()).toEqual([
      ['s', true],
      ['s', true],
      ['t', true],
      ['t', false],
      ['main', true],
      ['main', false],
    ]);
    await built(world.builder, NESTED);
    expect((await known()).map(([, isKnown]) => isKnown)).toEqual(Array(6).fill(true));
  });

  it('are those of a copy from the whole stage, not from its first steps', async () => {
    await using world = await openWorld({
      ...{ a: writes('a'), one: writes('out', 'one'), two: writes('out', 'two') },
    });
    const spec = (
      command: string,
    ): string => `((build s ((from base) (run (shell a)) (run (shell ${command}))))
      (from base) (copy (from (build s)) (src out) (dst /out)))`;
    await built(world.builder, spec('one'));
    await using result = expectOk(await world.builder.build(request(spec('two'))));
    expect(await readResult(result, 'out')).toBe('two');
  });

  it('are not made where the image of a stage that is copied from is not known, and nothing begins', async () => {
    await using world = await openWorld({});
    const spec = `((build s ((from missing))) (from base) (copy (from (build s)) (src out) (dst /out)))`;
    const heard = listen();
    const error = expectErr(await world.builder.build(request(spec, heard)));
    expect(error).toMatchObject({ type: 'fetch' });
    expect(heard.events).toEqual([]);
    expect(expectErr(await world.builder.plan(request(spec)))).toEqual(error);
  });

  it('are made once, also where more is known later of what a copy behind them reads', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    const spec = `((build s ((from base) (run (shell a)))) (build t ((from base) (run (shell b))))
      (from base) (run (secrets (token (target /token))) (shell c))
      (copy (from (build s)) (src a) (dst /a)) (copy (from (build t)) (src b) (dst /b)))`;
    const secrets = new AskedSecrets(() => {});
    await built(world.builder, spec, { secrets });
    // For the key, and for the command.
    expect(secrets.asked).toBe(2);
  });

  it('let the rest of the process go on while those of a long stage are made', async () => {
    await using world = await openWorld({});
    let rounds = 0;
    const seen: number[] = [];
    const secrets = new AskedSecrets(() => seen.push(rounds));
    const run = '(run (secrets (token (target /token))) (shell a))';
    const counting = setInterval(() => {
      rounds += 1;
    });
    const steps = expectOk(
      await world.builder.plan(request(`((from base) ${run.repeat(1000)})`, { secrets })),
    );
    clearInterval(counting);
    expect(steps).toHaveLength(1001);
    expect(seen).toHaveLength(1000);
    expect(seen.at(-1)).toBeGreaterThan(seen[0] as number);
  });
});

/** Secrets that tell each time that somebody takes one. */
class AskedSecrets extends Map<string, Uint8Array> {
  asked = 0;
  readonly #onAsked: () => void;

  constructor(onAsked: () => void) {
    super([['token', Buffer.from('secret')]]);
    this.#onAsked = onAsked;
  }

  override get(id: string): Uint8Array | undefined {
    this.asked += 1;
    this.#onAsked();
    return super.get(id);
  }
}
