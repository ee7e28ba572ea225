import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/index.ts';
import { built, listen, openWorld, request, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const B = '((from base) (run (shell b)))';
const notesIn = (events: readonly BuildEvent[]) =>
  events.flatMap((event) => (event.type === 'note' ? [event.text] : []));

describe('a base image, where nobody answers who knows it', () => {
  it('is what it was last, with a note, and a build that is saved whole goes on', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const key = await built(world.builder, A);
    world.fetcher.isOnline = false;
    const heard = listen();
    expect(await built(world.builder, A, heard)).toBe(key);
    expect(heard.sources()).toEqual(['cache', 'cache']);
    expect(notesIn(heard.events)).toEqual([expect.stringContaining('nobody answers who knows "base"')]);
    await built(world.builder, B);
  });

  it('is noted by plan as well', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, A);
    world.fetcher.isOnline = false;
    const heard = listen();
    const steps = expectOk(await world.builder.plan(request(A, heard)));
    expect(steps.map(({ saved }) => saved)).toEqual([true, true]);
    expect(heard.events).toMatchObject([{ type: 'note', text: expect.stringContaining('nobody answers') }]);
  });

  it('fails a build that asks for what the name means now, and one that needs its files', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, A);
    world.fetcher.isOnline = false;
    const always = expectErr(await world.builder.build(request(A, { pull: 'always' })));
    expect(always).toMatchObject({ type: 'fetch', error: { type: 'failed' } });
    expectOk(await world.builder.prune({}));
    const bare = expectErr(await world.builder.build(request(A)));
    expect(bare).toMatchObject({ type: 'fetch', error: { type: 'failed' } });
  });

  it('cancels its build where the listener throws at the note', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, A);
    world.fetcher.isOnline = false;
    const bug = new Error('no notes, please');
    const onEvent = () => {
      throw bug;
    };
    expect(expectErr(await world.builder.build(request(A, { onEvent })))).toMatchObject({
      ...{ type: 'cancelled', reason: bug },
    });
  });
});

describe('a build that asks nobody', () => {
  it('takes what the name meant last, whatever it means by now', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const key = await built(world.builder, A);
    world.images.base = { files: { origin: 'new' } };
    const heard = listen();
    expect(await built(world.builder, A, { ...heard, pull: 'never' })).toBe(key);
    expect(notesIn(heard.events)).toEqual([]);
    await built(world.builder, B, { pull: 'never' });
    expect(await built(world.builder, A)).not.toBe(key);
  });

  it('fails where the name is new, or the files are no longer here', async () => {
    await using world = await openWorld({ a: writes('a') });
    const unknown = expectErr(await world.builder.build(request(A, { pull: 'never' })));
    expect(unknown).toMatchObject({ type: 'fetch', error: { type: 'not-held', image: { name: 'base' } } });
    expect(expectErr(await world.builder.plan(request(A, { pull: 'never' })))).toEqual(unknown);
    await built(world.builder, A);
    expectOk(await world.builder.prune({}));
    const pruned = expectErr(await world.builder.build(request(A, { pull: 'never' })));
    expect(pruned).toMatchObject({ type: 'fetch', error: { type: 'not-held' } });
  });

  it('does not fail a build that joined its step and may ask', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, A);
    expectOk(await world.builder.prune({}));
    const unpack = world.fetcher.unpack.bind(world.fetcher);
    const joined = Promise.withResolvers<void>();
    world.fetcher.unpack = async (image, into, io) => {
      if (io.pull === 'never') await joined.promise;
      return unpack(image, into, io);
    };
    const started = Promise.withResolvers<void>();
    const one = world.builder.build(
      request(A, {
        pull: 'never',
        onEvent: (event) => void (event.type === 'step-started' && started.resolve()),
      }),
    );
    await started.promise;
    const heard = listen();
    const two = world.builder.build(
      request(A, {
        onEvent: (event) => {
          heard.onEvent(event);
          if (event.type === 'step-started' && event.source === 'joined') joined.resolve();
        },
      }),
    );
    expect(expectErr(await one)).toMatchObject({ type: 'fetch', error: { type: 'not-held' } });
    await using result = expectOk(await two);
    expect(world.sandbox.ran).toEqual(['a', 'a']);
    expect(heard.sources()).toEqual(['ran', 'ran']);
    expect(heard.events.filter(({ type }) => type === 'step-failed')).toEqual([]);
    expect(result.key).toMatch(/^[0-9a-f]{64}$/);
  });
});
