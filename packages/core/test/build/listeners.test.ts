import { setImmediate } from 'node:timers/promises';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { built, gate, openWorld, request, writes } from './world.ts';

const TWO = `((build one ((from base) (run (shell a)))) (build two ((from base) (run (shell b))))
  (from base) (copy (from (build one)) (src a) (dst /a)) (copy (from (build two)) (src b) (dst /b)))`;

describe('a listener', () => {
  it('that throws ends only its own build [L10]', async () => {
    const step = gate('working\n');
    await using world = await openWorld({ a: step.command });
    const spec = '((from base) (run (shell a)))';
    const good = world.builder.build(request(spec));
    await step.started;
    const bad = await world.builder.build(
      request(spec, {
        onEvent: (event) => {
          if (event.type === 'step-output') throw new Error('my bug');
        },
      }),
    );
    expect(expectErr(bad)).toMatchObject({ type: 'cancelled', reason: new Error('my bug') });
    step.open();
    await expectOk(await good)[Symbol.asyncDispose]();
  });

  it.each(['stops its build', 'throws'])(
    'that %s when it hears of a failure is told that failure',
    async (how) => {
      await using world = await openWorld({ a: async () => 3 });
      const stop = new AbortController();
      const failed = await world.builder.build(
        request('((from base) (run (shell a)))', {
          signal: stop.signal,
          onEvent: ({ type }) => {
            if (type === 'step-failed' && how === 'throws') throw new Error('my bug');
            if (type === 'step-failed') stop.abort(new Error('enough'));
          },
        }),
      );
      expect(expectErr(failed)).toMatchObject({ type: 'step-failed', exit: { type: 'exited', code: 3 } });
    },
  );

  it('that stops its build when two stages have failed is told what failed first', async () => {
    const [joined, b] = [Promise.withResolvers<void>(), gate('')];
    const a = async (): Promise<number> => {
      await joined.promise;
      return 3;
    };
    await using world = await openWorld({ a, b: b.command });
    const other = world.builder.build(request('((from base) (run (shell b)))'));
    await b.started;
    const stop = new AbortController();
    const failed = await world.builder.build(
      request(TWO, {
        signal: stop.signal,
        onEvent: async (event) => {
          if (event.type === 'step-started' && event.source === 'joined') joined.resolve();
          if (event.type !== 'step-failed' || stop.signal.aborted) return;
          b.open(4);
          expectErr(await other);
          for (let i = 0; i < 20; i += 1) await setImmediate();
          stop.abort(new Error('enough'));
        },
      }),
    );
    expect(expectErr(failed)).toMatchObject({ type: 'step-failed', exit: { type: 'exited', code: 3 } });
  });

  it('that stops its build before anything fails has cancelled it', async () => {
    await using world = await openWorld({ a: async () => 3 });
    const stop = new AbortController();
    const stopped = await world.builder.build(
      request('((from base) (run (shell a)))', {
        signal: stop.signal,
        onEvent: (event) => {
          if (event.type === 'step-started' && event.op.op === 'run') stop.abort(new Error('enough'));
        },
      }),
    );
    expect(expectErr(stopped)).toMatchObject({ type: 'cancelled', message: 'cancelled: enough' });
  });

  it('that is slow holds up only itself [L10]', async () => {
    await using world = await openWorld({ a: writes('a') });
    const spec = '((from base) (run (shell a)))';
    const { promise: never } = Promise.withResolvers<void>();
    const stop = new AbortController();
    const slow = world.builder.build(request(spec, { onEvent: () => never, signal: stop.signal }));
    await built(world.builder, spec);
    stop.abort(new Error('enough'));
    expect(expectErr(await slow)).toMatchObject({ type: 'cancelled' });
  });
});
